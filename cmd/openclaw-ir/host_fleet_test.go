//go:build linux

package main_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// TestHostAnsible has Ansible install the tool on a booted host over SSH, collect, and fetch what was sealed, with the role as it is
// published. The host has a real state, and no tool before.
func TestHostAnsible(t *testing.T) {
	needHost(t)
	need(t, "ansible-playbook", "age-keygen", "npm")
	t.Parallel()
	tool := buildTool(t)
	f := newFleet(t, bootHost(t, tool, install(t, newest)), tool)
	t.Run("another binary", func(t *testing.T) {
		out, err := f.play("-e", "openclaw_ir_sha256="+strings.Repeat("0", 64))
		if err == nil || !strings.Contains(out, "is not the released one") {
			t.Errorf("%v\n%s", err, out)
		}
		if _, err := os.Stat(filepath.Join(f.root, "usr/local/bin/openclaw-ir")); err == nil {
			t.Error("it was copied all the same")
		}
	})
	for n, do := range []string{"collect", "snapshot"} {
		t.Run(do, func(t *testing.T) {
			const secret = "FAKEfleetsecret0123456789"
			out, err := f.play("-vvv", "-e", "openclaw_ir_do="+do, "-e", `{"openclaw_ir_aws_credentials": "[default]\naws_secret_access_key=`+secret+`\n"}`)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if strings.Contains(out, secret) {
				t.Error("the credentials were shown")
			}
			info, err := os.Stat(filepath.Join(f.root, "etc/openclaw-ir/aws-credentials"))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the credentials: %v, %v", info, err)
			}
			bundles, err := filepath.Glob(filepath.Join(f.dir, "bundles/victim/*.age"))
			if err != nil || len(bundles) != n+1 {
				t.Fatalf("%q, %v", bundles, err)
			}
			for _, b := range bundles {
				runCodes(t, exec.Command(tool, "collect", "verify", "-i", filepath.Join(f.dir, "key.txt"), b), 0, 3)
			}
		})
	}
	t.Run("schedule", func(t *testing.T) {
		if out, err := f.play("-e", "openclaw_ir_do=schedule", "-e", "openclaw_ir_keep=24h,30d"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		run(t, f.command("systemctl", "is-enabled", "openclaw-ir-snapshots.timer"))
		run(t, f.command("systemctl", "is-active", "openclaw-ir-snapshots.timer"))
	})
	t.Run("package", func(t *testing.T) {
		deb, sum := f.makePackage(t, tool)
		for range 2 { // the second time it is there already
			out, err := f.play("-e", "openclaw_ir_binary=", "-e", "openclaw_ir_package="+deb, "-e", "openclaw_ir_sha256="+sum, "-e", "openclaw_ir_do=none")
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		run(t, f.command("/usr/bin/openclaw-ir", "--version"))
	})
	t.Run("nothing sealed", func(t *testing.T) {
		out, err := f.play("-e", `{"openclaw_ir_arguments": ["--no-such-flag"]}`)
		if err == nil || !strings.Contains(out, "sealed nothing") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// A fleet is one host and what Ansible needs for it.
type fleet struct {
	*host
	dir  string
	args []string
}

func newFleet(t *testing.T, h *host, tool string) *fleet {
	t.Helper()
	f := &fleet{host: h, dir: t.TempDir()}
	if err := os.Remove(filepath.Join(h.root, "usr/local/bin/openclaw-ir")); err != nil {
		t.Fatal(err)
	}
	run(t, exec.Command("cp", "-a", filepath.Join(statetest.Root(t, "2026.7.1"), "home/claw/.openclaw"), filepath.Join(h.root, "home/claw/.openclaw")))
	h.chown(t, "home/claw/.openclaw")
	f.installPython(t)
	key := filepath.Join(f.dir, "key.txt")
	run(t, exec.Command("age-keygen", "-o", key))
	recipient := strings.TrimSpace(string(run(t, exec.Command("age-keygen", "-y", key))))
	inventory := fmt.Sprintf("[openclaw]\nvictim ansible_host=%s ansible_user=root\n", hostV4)
	if err := os.WriteFile(filepath.Join(f.dir, "inventory"), []byte(inventory), 0o600); err != nil {
		t.Fatal(err)
	}
	ssh := "-F none -o StrictHostKeyChecking=yes -o UserKnownHostsFile=" + filepath.Join(h.keys, "known_hosts")
	f.args = []string{
		"ansible-playbook", "-i", filepath.Join(f.dir, "inventory"), "--private-key", filepath.Join(h.keys, "key"), "--ssh-common-args", ssh,
		"../../collect/fleet/ansible/collect.yml", "-e", "openclaw_ir_binary=" + tool, "-e", "openclaw_ir_sha256=" + fileSum(t, tool),
		"-e", `{"openclaw_ir_recipients": ["` + recipient + `"]}`, "-e", "openclaw_ir_fetch_dir=" + filepath.Join(f.dir, "bundles"),
	}
	return f
}

func fileSum(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))
}

// makePackage makes a package of the tool alone, and returns its name and checksum.
func (f *fleet) makePackage(t *testing.T, tool string) (deb, sum string) {
	t.Helper()
	tree := filepath.Join(f.dir, "tree")
	control := "Package: openclaw-ir\nVersion: 0.0.1\nArchitecture: all\nMaintainer: test <test@example.org>\nDescription: test\n"
	for _, dir := range []string{"DEBIAN", "usr/bin"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(tree, "DEBIAN/control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, exec.Command("install", "-m", "755", tool, filepath.Join(tree, "usr/bin/openclaw-ir")))
	deb = filepath.Join(f.dir, "openclaw-ir.deb")
	run(t, exec.Command("dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, deb))
	return deb, fileSum(t, deb)
}

// installPython gives the host what Ansible runs there. The host's own network leads nowhere, so it is installed from outside.
func (f *fleet) installPython(t *testing.T) {
	t.Helper()
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "etc/resolv.conf", string(resolver), 0o644)
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", "python3"}} {
		cmd := exec.Command("chroot", append([]string{f.root, "apt-get", "-qq"}, args...)...)
		cmd.Env = []string{"DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
		run(t, cmd)
	}
}

// play runs the published playbook and returns what Ansible printed.
func (f *fleet) play(more ...string) (string, error) {
	cmd := f.outsideCommand(append(f.args, more...)...)
	cmd.Env = append(os.Environ(), "HOME="+f.dir, "ANSIBLE_HOME="+filepath.Join(f.dir, "ansible"), "ANSIBLE_NOCOLOR=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
