package collect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	transcript = state + "/agents/main/sessions/a.jsonl"
	gatewayLog = "/tmp/openclaw/openclaw-2026-11-28.log"
)

// TestAlarms says what of the past sounds an alarm when it is other than it was sealed, and what has an innocent explanation.
func TestAlarms(t *testing.T) {
	lines := strings.Repeat(`{"type":"message"}`+"\n", 8000) // more than one chunk
	old := time.Now().Add(-48 * time.Hour)
	for name, c := range map[string]struct {
		do   func(l *lab)
		want string // kind and path; "" for silence
	}{
		"transcript grows":     {func(l *lab) { l.add(transcript, "more\n") }, ""},
		"transcript rewritten": {func(l *lab) { l.write(transcript, 100, "X") }, "rewritten " + transcript},
		"and grown":            {func(l *lab) { l.write(transcript, 100, "X"); l.add(transcript, "more\n") }, "rewritten " + transcript},
		"last line changed":    {func(l *lab) { l.write(transcript, int64(len(lines))-5, "X"); l.add(transcript, "more\n") }, "rewritten " + transcript},
		"transcript cut":       {func(l *lab) { l.cut(transcript, 70<<10) }, "cut " + transcript},
		"transcript emptied":   {func(l *lab) { l.cut(transcript, 0) }, "cut " + transcript},
		"transcript gone":      {func(l *lab) { l.remove(transcript) }, "gone " + transcript},
		"directory gone":       {func(l *lab) { os.RemoveAll(filepath.Dir(l.dir + transcript)) }, "gone " + transcript + ", gone " + transcript + ".bak"},
		"replaced by its continuation": {func(l *lab) {
			l.remove(transcript)
			l.put(transcript, lines+"more\n")
		}, ""},
		"replaced by another": {func(l *lab) { l.replace(transcript, strings.ToUpper(lines)) }, "replaced " + transcript},
		"reset by OpenClaw":   {func(l *lab) { l.rename(transcript, transcript+".reset.2026-11-29T00-00-00.000Z") }, ""},
		"deleted by OpenClaw": {func(l *lab) {
			l.rename(transcript, transcript+".deleted.2026-11-29T00-00-00.000Z")
			l.put(transcript, "new\n")
		}, ""},
		"archived": {func(l *lab) { l.remove(transcript); l.put(transcript+".deleted.1.1.zst", "compressed") }, ""},
		"renamed and rewritten": {func(l *lab) {
			l.write(transcript, 100, "X")
			l.rename(transcript, transcript+".deleted.1")
		}, "rewritten " + transcript},
		"a name that only looks like an archive": {func(l *lab) { l.remove(transcript); l.put(transcript+".deleted.1", "other") }, "gone " + transcript},
		"archive changed":                        {func(l *lab) { l.write(transcript+".bak", 5, "X") }, "rewritten " + transcript + ".bak"},
		"log grows":                              {func(l *lab) { l.add(gatewayLog, "more\n") }, ""},
		"log cut":                                {func(l *lab) { l.cut(gatewayLog, 10) }, "cut " + gatewayLog},
		"young log gone":                         {func(l *lab) { l.remove(gatewayLog) }, "gone " + gatewayLog},
		"old log cut":                            {func(l *lab) { l.cut("/tmp/openclaw/openclaw-2026-11-26.log", 10) }, "cut /tmp/openclaw/openclaw-2026-11-26.log"},
		"log made old gone":                      {func(l *lab) { l.remove("/tmp/openclaw/openclaw-2026-11-26.log") }, "gone /tmp/openclaw/openclaw-2026-11-26.log"},
		"log rotated": {func(l *lab) {
			l.rename("/var/log/auth.log", "/var/log/auth.log.1")
			l.put("/var/log/auth.log", "new\n")
		}, ""},
		"log rotated by copy": {func(l *lab) {
			l.put("/var/log/auth.log.1", lines+"and one\n")
			l.cut("/var/log/auth.log", 0)
		}, ""},
		"log rotated and compressed": {func(l *lab) { l.put("/var/log/auth.log.1.gz", "gz"); l.replace("/var/log/auth.log", "new\n") }, ""},
		"rotated log gone":           {func(l *lab) { l.remove("/var/log/syslog.7.gz") }, ""},
		"log emptied":                {func(l *lab) { l.cut("/var/log/auth.log", 0) }, "cut /var/log/auth.log"},
		"config changed":             {func(l *lab) { l.replace(state+"/openclaw.json", `{"a":1}`) }, ""},
		"workspace file gone":        {func(l *lab) { l.remove(state + "/workspace/x") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, map[string]string{
				transcript: lines, transcript + ".bak": "old lines\n", gatewayLog: lines, "/tmp/openclaw/openclaw-2026-11-26.log": lines,
				"/var/log/auth.log": lines, "/var/log/syslog.7.gz": "gz", state + "/workspace/x": "x",
			})
			os.Chtimes(l.dir+"/tmp/openclaw/openclaw-2026-11-26.log", old, old)
			l.age()
			if s := l.take(SnapshotOptions{}); len(s.Outcome.Alarms) > 0 {
				t.Fatalf("at first: %+v", s.Outcome.Alarms)
			}
			c.do(l)
			got := []string{}
			for _, a := range l.take(SnapshotOptions{}).Outcome.Alarms {
				got = append(got, a.Kind+" "+a.Path)
				if a.Detail == "" || a.Link != 1 {
					t.Errorf("%+v", a)
				}
			}
			if all := strings.Join(got, ", "); all != c.want {
				t.Errorf("alarms %q, want %q", all, c.want)
			}
			if s := l.take(SnapshotOptions{}); len(s.Outcome.Alarms) > 0 {
				t.Errorf("told twice: %+v", s.Outcome.Alarms)
			}
			l.restored()
		})
	}
}

// TestDeletedByAge: what is old is deleted by OpenClaw, and what was only given an old time is not.
func TestDeletedByAge(t *testing.T) {
	now := time.Now()
	for _, x := range []struct {
		source, path     string
		written, changed time.Duration // ago
		want             bool
	}{
		{"log", "/srv/openclaw.log", 25 * time.Hour, 25 * time.Hour, true},
		{"log", "/srv/openclaw.log", 25 * time.Hour, time.Hour, false},
		{"log", "/srv/openclaw.log", time.Hour, time.Hour, false},
		{"transcript", "/s/a.jsonl.deleted.1.zst", 31 * 24 * time.Hour, 31 * 24 * time.Hour, true},
		{"transcript", "/s/a.jsonl.deleted.1.zst", 31 * 24 * time.Hour, time.Hour, false},
	} {
		c := &collector{past: &past{settled: now, next: map[string]*entry{}}}
		e := &entry{source: x.source, path: x.path, kind: File, mtime: now.Add(-x.written).UnixNano(), ctime: now.Add(-x.changed).UnixNano()}
		if why := c.deleted(e); (why != "") != x.want {
			t.Errorf("%+v: %q", x, why)
		}
	}
}

func (l *lab) write(name string, at int64, text string) {
	l.t.Helper()
	f, err := os.OpenFile(l.dir+name, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte(text), at)
		f.Close()
	}
	l.must(err)
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) cut(name string, size int64) { l.must(os.Truncate(l.dir+name, size)) }
func (l *lab) remove(name string)          { l.must(os.Remove(l.dir + name)) }
func (l *lab) rename(from, to string)      { l.must(os.Rename(l.dir+from, l.dir+to)) }

// replace gives a name to another file, as an editor does.
func (l *lab) replace(name, text string) {
	l.put(name+"~new", text)
	l.rename(name+"~new", name)
}
