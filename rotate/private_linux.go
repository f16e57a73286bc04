package rotate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// onThread runs do on a thread that ends with it, as it may change what the thread sees of the machine. It is never the
// process's first thread, for which /proc/self stands.
func onThread(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			onThread(do) // on another, while this one is held
			runtime.UnlockOSThread()
			return
		}
		do()
	}()
	<-done
}

// attributes makes the leader of a session, which dies with us. It is the first process of a namespace, so that all that it
// started dies with it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWIPC}
}

// room moves the thread into a network and a file tree of its own.
func (p program) room() (room, error) {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWNET); err != nil {
		return room{}, fmt.Errorf("only root outside of a container can: %w", err)
	}
	if err := p.fileTree(); err != nil {
		return room{}, err
	}
	if err := loopbackUp(); err != nil {
		return room{}, fmt.Errorf("making a network: %w", err)
	}
	network, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return room{}, err
	}
	r := room{dir: privateDir, dial: dialIn(network), close: func() { network.Close() }}
	return r, nil
}

const privateDir = "/tmp/openclaw-ir"

// fileTree puts memory over /tmp, with a directory for the gateway, and empty directories over those to hide. None of it is
// seen from outside, and it is gone with the last process that sees it.
func (p program) fileTree() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making the file tree private: %w", err)
	}
	// Over /tmp because the logs there are evidence, from which a gateway deletes what is older than a day when it starts, and
	// because 2026.9.6 keeps locks there whatever TMPDIR says.
	if err := unix.Mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777,size=512m"); err != nil {
		return fmt.Errorf("mounting memory: %w", err)
	}
	for _, dir := range p.hide {
		if err := p.hideDir(dir); err != nil {
			return fmt.Errorf("hiding %q: %w", dir, err)
		}
	}
	return os.Mkdir(privateDir, 0o700)
}

// hideDir puts an empty directory over one, unless the program itself lies there.
func (p program) hideDir(dir string) error {
	dir = filepath.Clean(dir)
	for _, needed := range []string{p.node, p.entry, privateDir, "/proc/self", "/dev/null"} {
		if !filepath.IsAbs(dir) || dir == "/" || strings.HasPrefix(needed, dir+"/") {
			return nil
		}
	}
	err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755,size=4k")
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil // below /tmp
	}
	return err
}

// loopbackUp brings up the loopback of a new network, with 127.0.0.1 and ::1 (netdevice(7)).
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return err
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// dialIn connects within a network. A socket belongs to that of the thread that made it, so a thread is moved there.
func dialIn(network *os.File) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, kind, addr string) (conn net.Conn, err error) {
		onThread(func() {
			if err = unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err == nil {
				conn, err = new(net.Dialer).DialContext(ctx, kind, addr)
			}
		})
		return conn, err
	}
}
