package main

import (
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/storetest"
)

// wantChain verifies the chain of two links in a place.
func wantChain(t *testing.T, u *uploader, place string, more ...string) {
	t.Helper()
	for range 2 {
		u.collect(t, exitDone, append([]string{"--snapshot", "--to", place}, more...)...)
	}
	u.said.Reset()
	u.run(t, exitDone, append([]string{"chain", "verify", place}, more...)...)
	for _, want := range []string{"links   1 to 2, 2 seals, 1 of them full", "bundles 2 here", "compared with the seals", "verdict holds"} {
		if !strings.Contains(u.said.String(), want) {
			t.Errorf("%q is not in:\n%s", want, u.said.String())
		}
	}
	u.run(t, exitFound, append([]string{"chain", "verify", place, "--head", strings.Repeat("0", 64) + ":3"}, more...)...)
}

func TestChainS3(t *testing.T) {
	wantChain(t, newUploader(t), storetest.StartS3(t, t.TempDir()).Address())
}

func TestChainSFTP(t *testing.T) {
	d := storetest.StartSSHD(t)
	wantChain(t, newUploader(t), d.Address(), "--ssh-key", d.Key, "--host-key", d.HostKey)
}
