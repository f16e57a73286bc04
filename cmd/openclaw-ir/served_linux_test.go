package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/fusetest"
)

// servedPoints are where the agent's user mounts a file system that never answers, beneath the home.
var servedPoints = map[string][]string{
	"in the state":  {".openclaw/agents/main/sessions", ".openclaw/credentials", ".openclaw/openclaw.json", ".openclaw/state", ".openclaw/workspace/notes"},
	"the state":     {".openclaw"},
	"the home":      {"."},
	"beside agents": {".openclaw/agents"},
}

// TestServedByAgent has the agent's user serve parts of the state, all of it, and the home: every command ends without having asked
// that user for anything, and says what it did not read.
func TestServedByAgent(t *testing.T) {
	if !inOwnLab(t) {
		return
	}
	for what, points := range servedPoints {
		if what != "in the state" && what != "the state" && !isLong() {
			continue
		}
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			s := newSiege(t)
			var servers []*fusetest.Server
			for _, p := range points {
				point := filepath.Join(filepath.Dir(s.state), p)
				if _, err := os.Stat(point); err != nil {
					t.Fatal(err)
				}
				servers = append(servers, fusetest.Mount(t, point, agentUID))
			}
			letGo := time.AfterFunc(2*hung, func() {
				for _, server := range servers {
					server.Abort()
				}
			})
			defer letGo.Stop()
			for n, line := range attackedLines {
				if strings.Contains(line, " -o ") || strings.HasPrefix(line, "contain") || strings.Contains(line, "undo") {
					continue // the responder may write to a file system of a user's; and there is nothing to contain
				}
				s.try(line, n)
				s.toldServed(line)
				for _, p := range points {
					if strings.HasPrefix(line, "collect --root") && !bytes.Contains(s.said, []byte(filepath.Join(filepath.Dir(s.state), p)[len(s.host):]+`":`)) {
						t.Errorf("%s: does not name %q\n%s", line, p, s.said)
					}
				}
				for i, server := range servers {
					if asked := server.Asked(); len(asked) > 0 {
						t.Fatalf("%s: the agent was asked at %q: operations %d", line, points[i], asked)
					}
				}
			}
			t.Logf("exit codes: %v", s.codes)
		})
	}
}

// toldServed holds that the last command said what it did not read.
func (s *siege) toldServed(line string) {
	s.t.Helper()
	if !bytes.Contains(s.said, []byte("user "+strconv.Itoa(agentUID)+" serves what is mounted here")) {
		s.t.Errorf("%s: it does not say what it did not read\n%s", line, s.said)
	}
	if s.code == exitDone {
		s.t.Errorf("%s: it passes for done\n%s", line, s.said)
	}
}
