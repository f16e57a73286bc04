package store

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/storetest"
)

const childVariable = "STORE_TEST_CHILD" // the directory of the cases of a process that is to be killed

// TestPayChild is no test: it is the process that TestPayKilled kills.
func TestPayChild(t *testing.T) {
	dir := os.Getenv(childVariable)
	if dir == "" {
		t.Skip("run by TestPayKilled")
	}
	cs, err := casefile.Open(dir, "one", false)
	if err != nil {
		t.Fatal(err)
	}
	defer cs.Close()
	if err := Pay(t.Context(), cs, Options{PartSize: 5 << 20, Rate: 24 << 20}, func(Result) {}); err != nil {
		t.Fatal(err)
	}
}

// TestPayKilled kills a process in the middle of an upload, again and again: nothing is there until all is, and what was sent is not
// sent again.
func TestPayKilled(t *testing.T) {
	s3, d := storetest.StartS3(t, t.TempDir()), storetest.StartSSHD(t)
	data, _ := sealedBytes(t, 18<<20)
	for kind, server := range map[string]string{"s3": s3.Addr, "sftp": d.Addr} {
		t.Run(kind, func(t *testing.T) {
			p := storetest.NewProxy(t, server)
			to := Destination{To: s3.Via(p.Addr())}
			if kind == "sftp" {
				to = Destination{To: d.Via(p.Addr()), HostKey: d.HostKey, SSHKey: d.Key}
			}
			dir := filepath.Join(t.TempDir(), "cases")
			cs, err := casefile.Open(dir, "one", true)
			if err != nil {
				t.Fatal(err)
			}
			defer cs.Close()
			owe(t, cs, to, data)
			for _, after := range []int64{7 << 20, 13 << 20} {
				killed(t, dir, func() bool { return p.Passed() >= after })
				if got := owedNames(t, cs); got != "B" {
					t.Fatalf("owed %q", got)
				}
			}
			told, err := pay(t.Context(), cs)
			if err != nil || len(told) != 1 || told[0] != "B stored" {
				t.Fatalf("%q, %v", told, err)
			}
			s, err := Open(t.Context(), to.To, Options{HostKey: to.HostKey, SSHKey: to.SSHKey})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := get(t, s, "B"); !bytes.Equal(got, data) {
				t.Errorf("%d bytes stored", len(got))
			}
			if again := p.Passed() - int64(len(data)); again > 13<<20 { // two parts were cut short, and SSH has its own bytes
				t.Errorf("%d bytes were sent again", again)
			}
			if report, err := cs.Verify(); err != nil || !report.OK() {
				t.Errorf("the custody log: %+v, %v", report, err)
			}
		})
	}
}

func owe(t *testing.T, cs *casefile.Case, to Destination, data []byte) {
	t.Helper()
	f := inCase(t, cs, "/nowhere", "B", data)
	text, err := json.Marshal(ledger{Version: 1})
	if err == nil {
		err = cs.WriteFile(ledgerName, text)
	}
	if f.Destination = to; err == nil {
		err = Owe(cs, f)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// killed runs the child until it is time to kill it.
func killed(t *testing.T, dir string, enough func() bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestPayChild$")
	cmd.Env = append(os.Environ(), childVariable+"="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !enough(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("it sent nothing for a minute")
			break
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}
