package openclaw

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

func TestUsersAreBounded(t *testing.T) {
	var passwd strings.Builder
	for i := range maxUsers + 10 {
		fmt.Fprintf(&passwd, "u%d:x:%d:%d::/home/u%d:/bin/sh\n", i, i+1000, i+1000, i)
	}
	fsys := fstest.MapFS{
		"etc/passwd":    {Data: []byte(passwd.String())},
		"home/u3/x":     {},
		"home/absent/x": {},
	}
	users, gaps := Users(fsys)
	if len(users) != maxUsers || users[3].Name != "u3" {
		t.Errorf("%d accounts", len(users))
	}
	want := fmt.Sprintf("%d accounts, with the homes that it does not list", maxUsers+12) // and /home/absent and /root
	if len(gaps) != 1 || !gaps[0].Unknown || !strings.HasPrefix(gaps[0].What, want) {
		t.Errorf("gaps: %+v", gaps)
	}
}
