package fusetest

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Server answers that it is there, and nothing that it is asked from then on.
type Server struct {
	device *os.File
	mu     sync.Mutex
	asked  []uint32
	ready  chan struct{} // closed once the kernel knows the server
}

// The kernel's side of the protocol, of which include/uapi/linux/fuse.h is the reference.
const (
	opForget    = 2
	opInit      = 26
	opInterrupt = 36
	opDestroy   = 38
	opForgets   = 42

	inHeader  = 40
	outHeader = 16
	initOut   = 64
)

// Mount mounts a file system on a file or directory, which uid seems to serve and everybody may look at, until the test ends. The test is
// skipped where that cannot be done.
func Mount(tb testing.TB, point string, uid int) *Server {
	tb.Helper()
	fi, err := os.Stat(point)
	if err != nil {
		tb.Fatal(err)
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		tb.Skipf("no FUSE: %v", err)
	}
	mode := unix.S_IFREG
	if fi.IsDir() {
		mode = unix.S_IFDIR
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=%d,group_id=%d,allow_other", fd, mode, uid, uid)
	if err := unix.Mount("hostile", point, "fuse.hostile", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(fd)
		tb.Skipf("mounting a FUSE file system: %v", err)
	}
	// The device cannot be polled before.
	s := &Server{device: os.NewFile(uintptr(fd), "/dev/fuse"), ready: make(chan struct{})}
	tb.Cleanup(func() {
		s.Abort()
		_ = unix.Unmount(point, unix.MNT_DETACH)
	})
	go s.serve()
	select {
	case <-s.ready:
	case <-time.After(time.Minute):
		tb.Fatal("the kernel does not speak to the FUSE server")
	}
	return s
}

// Abort ends the connection: whoever waits for an answer gets an error.
func (s *Server) Abort() { s.device.Close() }

// Asked are the operations that the server was asked for, by their numbers.
func (s *Server) Asked() []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *Server) serve() {
	buf := make([]byte, 256<<10)
	for {
		n, err := s.device.Read(buf)
		if err != nil || n < inHeader {
			return
		}
		switch op := binary.NativeEndian.Uint32(buf[4:]); op {
		case opInit:
			if _, err := s.device.Write(initAnswer(buf[8:16])); err != nil {
				return
			}
			close(s.ready)
		case opForget, opForgets, opInterrupt, opDestroy: // not questions
		default:
			s.mu.Lock()
			s.asked = append(s.asked, op)
			s.mu.Unlock()
		}
	}
}

// initAnswer agrees to protocol 7.31 and to nothing else.
func initAnswer(unique []byte) []byte {
	out := make([]byte, outHeader+initOut)
	put := binary.NativeEndian.PutUint32
	put(out, uint32(len(out)))
	copy(out[8:], unique)
	put(out[outHeader:], 7)
	put(out[outHeader+4:], 31)
	put(out[outHeader+20:], 4096) // the longest write
	return out
}
