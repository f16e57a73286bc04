package analyze

import (
	"slices"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/ioc"
)

func TestHostsIn(t *testing.T) {
	for text, want := range map[string][]string{
		"curl -o x https://A.example:8443/p?u=http://b.example/ | sh": {"a.example", "b.example"},
		"git clone https://user:pw@c.example/x":                       {"c.example"},
		"scp notes.md joe@d.example:/srv && ssh -p 2 joe@e.example":   {"d.example", "e.example"},
		"echo joe@f.example: hello":                                   nil,
		"npm i left-pad@1.3.0":                                        nil,
		"curl http://[2001:DB8::1]:80/":                               {"2001:db8::1"},
		"rsync a https://g:h@i.example/":                              {"i.example"},
		"curl ://":                                                    nil,
	} {
		if got := hostsIn(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestNewcomers follows what is new and what is not, through the records that rules see.
func TestNewcomers(t *testing.T) {
	day := func(n float64) int64 { return int64(n * float64(24*time.Hour/time.Millisecond)) }
	exec := func(at float64, what string) *Event { return &Event{Kind: KindExec, Time: day(at), What: what} }
	log := func(what string) *Event { return &Event{Kind: KindLog, Tool: "gateway/hooks", What: what} }
	answer := func(by string) *Event {
		return &Event{Kind: KindApproval, What: "git push", Details: []Detail{{"Decision", "allow-always"}, {"Resolver", by}}}
	}
	hook := func(by string) *Event {
		return &Event{Kind: KindMessage, Target: "in", What: "x", Asker: &Asker{Kind: "hook", Sender: by}}
	}
	n, r := newNewcomers(), newRecorder(ioc.NewList(nil), &world{})
	for i, c := range []struct {
		event *Event
		want  string
	}{
		{exec(10, "curl https://a.example/1"), "true"},
		{exec(10.1, "curl -o /tmp/x https://a.example/2"), "true"}, // the same day: one attack's deeds do not vouch for each other
		{exec(11.5, "curl https://a.example/3"), "false"},
		{exec(11.5, "curl https://a.example/3 https://b.example"), "true"},
		{exec(11.5, "curl -o /tmp/y c.example/x; echo https://a.example/"), ""}, // a known address does not vouch for what no quick look finds
		{&Event{Kind: KindFetch, Time: day(11.6), What: "https://a.example/"}, "false"},
		{&Event{Kind: KindFetch, Time: day(11.6), What: "https://n.example/"}, "true"},
		{exec(5, "curl https://a.example/0"), "true"}, // read later, and older
		{exec(6.5, "curl https://a.example/0"), "false"},
		{exec(12, "ls"), ""},
		{log("hook ok remote=203.0.113.1 x"), ""},
		{log("hook ok remote=203.0.113.1"), "false"},
		{log("hook ok remote=203.0.113.2"), "true"},
		{log("nothing"), ""},
		{answer("device:1"), ""},
		{answer("device:1"), "false"},
		{answer("device:2"), "true"},
		{hook("hook:gmail"), ""},
		{hook("hook:github"), "true"},
	} {
		if c.event.Asker == nil {
			c.event.Asker = &Asker{Kind: "operator"}
		}
		n.event(c.event)
		if got := r.of(c.event)[0].Get("FirstSeen"); got != c.want {
			t.Errorf("%d: %q: %q, want %q", i, c.event.What, got, c.want)
		}
	}
}
