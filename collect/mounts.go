package collect

import (
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// mountTable holds what is mounted where, the last mount on a point. It is asked before a path is touched: a dead
// server blocks whoever does.
type mountTable map[string]host.Mount

func newMountTable(list []host.Mount) mountTable {
	t := mountTable{}
	for _, m := range list {
		if m.Point != "." { // where the evidence is was asked for
			t["/"+m.Point] = m
		}
	}
	return t
}

// skip says why a walk does not go beyond name, "" if it does.
func (t mountTable) skip(name string) string {
	if m, ok := t[name]; ok {
		return m.Skip()
	}
	return ""
}

// over returns the mount that name lies on, nil if it is the root's.
func (t mountTable) over(name string) *host.Mount {
	for name != "" {
		if m, ok := t[name]; ok {
			return &m
		}
		name = name[:strings.LastIndexByte(name, '/')]
	}
	return nil
}
