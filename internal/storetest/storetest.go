// Package storetest runs real stores for tests: OpenSSH's server, an S3 server, and a bad network before them. Where a program is not
// there the test is skipped.
package storetest

import (
	"bytes"
	"net"
	"os/exec"
	"testing"
	"time"
)

// start runs a server until the test ends, and waits until it listens. command makes it for an address of this machine, and is asked
// again where somebody else has taken that meanwhile.
func start(t testing.TB, command func(addr string) *exec.Cmd) (addr string) {
	t.Helper()
	for range 5 {
		addr = FreePort(t)
		if runs(t, addr, command(addr)) {
			return addr
		}
	}
	t.Fatal("the server does not listen")
	return ""
}

func runs(t testing.TB, addr string, cmd *exec.Cmd) bool {
	t.Helper()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s:\n%s", cmd.Path, log.String())
		}
	})
	for range 600 {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return false
}

// FreePort is an address of this machine that nobody listens at.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// SmallDisk mounts one of so many MiB at dir until the test ends; only root can.
func SmallDisk(t testing.TB, dir, size string) {
	t.Helper()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size+",mode=700", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("no small disk to be had: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
}
