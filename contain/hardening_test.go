package contain

import (
	"slices"
	"strings"
	"testing"
)

func TestParseHardening(t *testing.T) {
	c := Container{Engine: "docker", ID: strings.Repeat("a", 64), What: "sandbox"}
	h, err := parseHardening(c, []byte(`[{"HostConfig":{"CapAdd":null,"CapDrop":["ALL"],"SecurityOpt":["no-new-privileges:true"],"ReadonlyRootfs":true,"Privileged":false,
		"NetworkMode":"none","PidMode":"","Binds":["/home/u/w:/workspace:ro"]},"NetworkSettings":{"Ports":{"9222/tcp":[{"HostIp":"0.0.0.0","HostPort":"32768"}],"80/tcp":null}},
		"Config":{"Labels":{"openclaw.sandbox":"1","maintainer":"x"}}}]`))
	if err != nil {
		t.Fatal(err)
	}
	if !h.NoNewPrivileges || !h.ReadOnly || h.Privileged || !slices.Equal(h.CapDrop, []string{"ALL"}) || h.Network != "none" ||
		!slices.Equal(h.Published, []string{"0.0.0.0:32768"}) || len(h.Labels) != 1 || h.What != "sandbox" {
		t.Errorf("got %+v", h)
	}
	for _, bad := range []string{"", "[]", "[{},{}]", `{"a":1}`} {
		if _, err := parseHardening(c, []byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
