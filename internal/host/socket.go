package host

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Socket is one line of /proc/net/tcp, tcp6, udp, udp6, raw, raw6 or unix.
//
// The kernel prints the path of a Unix socket raw, newlines included, so whoever names one can make it look like
// two; an inode that no process holds is a hint of that.
type Socket struct {
	Record string `json:"record"` // "socket"
	Proto  string `json:"proto"`
	// Local and Remote are address and port, zero for a Unix socket.
	Local  netip.AddrPort `json:"local,omitzero"`
	Remote netip.AddrPort `json:"remote,omitzero"`
	Path   Text           `json:"path,omitempty"` // of a Unix socket; "@" first if abstract
	State  string         `json:"state"`          // as ss(8) names it: LISTEN, ESTAB; the hex number if unknown
	UID    uint32         `json:"uid"`            // of the creator; 0 for Unix sockets, whose creator is not shown
	Inode  uint64         `json:"inode"`
	PIDs   []int          `json:"pids"`            // who has it open; empty for TIME-WAIT and for what we may not see
	NetNS  Text           `json:"netns,omitempty"` // "net:[4026531840]"
}

// SocketTable is one reading of the sockets of every network namespace that a process is in.
type SocketTable struct {
	Sockets   []Socket
	Malformed int    // lines that no kernel writes
	Gaps      []Text // what could not be read, one "what: why" each
}

// socketLimit bounds memory against a table of forged connections; what is beyond is a gap.
const socketLimit = 1 << 20

// Sockets reads the socket tables and joins them to the processes that hold them, containers' included.
// The error is the context's.
func Sockets(ctx context.Context, r *Root, processes []Process) (SocketTable, error) {
	var t SocketTable
	holders, err := t.holders(ctx, r, processes)
	if err != nil {
		return t, err
	}
	for _, ns := range t.namespaces(r, processes) {
		for _, proto := range []string{"tcp", "tcp6", "udp", "udp6", "raw", "raw6", "unix"} {
			if err := ctx.Err(); err != nil {
				return t, err
			}
			t.readTable(r, ns, proto)
		}
	}
	for i := range t.Sockets {
		t.Sockets[i].PIDs = slices.Compact(holders[t.Sockets[i].Inode])
		if t.Sockets[i].PIDs == nil {
			t.Sockets[i].PIDs = []int{}
		}
	}
	return t, nil
}

// holders maps socket inodes to the processes that have them open.
func (t *SocketTable) holders(ctx context.Context, r *Root, processes []Process) (map[uint64][]int, error) {
	m := make(map[uint64][]int)
	denied := 0
	for _, p := range processes {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		for f, err := range openFiles(r, p.PID) {
			if err != nil {
				if !gone(err) {
					denied++
				}
				break
			}
			s, ok := strings.CutPrefix(string(f.Target), "socket:[")
			if !ok {
				continue
			}
			if ino, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 64); err == nil {
				m[ino] = append(m[ino], p.PID)
			}
		}
	}
	if denied > 0 {
		t.gap(fmt.Sprintf("open files of %d processes", denied), fs.ErrPermission)
	}
	return m, nil
}

func (t *SocketTable) gap(what string, err error) {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	t.Gaps = append(t.Gaps, Text(what+": "+err.Error()))
}

// netNS is a network namespace and the directories that show its tables, any of which may vanish.
type netNS struct {
	name Text
	dirs []string
}

func (t *SocketTable) namespaces(r *Root, processes []Process) []netNS {
	var list []netNS
	add := func(name Text, dir string) {
		i := slices.IndexFunc(list, func(n netNS) bool { return n.name == name })
		if i < 0 {
			i = len(list)
			list = append(list, netNS{name: name})
		}
		if len(list[i].dirs) < 4 {
			list[i].dirs = append(list[i].dirs, dir)
		}
	}
	own, _ := r.ReadLink("proc/self/ns/net")
	if r.Live() {
		add(Text(own), "proc/self/net/")
	} else {
		add(Text(own), "proc/net/")
	}
	for _, p := range processes {
		dir := "proc/" + strconv.Itoa(p.PID)
		if ns, err := r.ReadLink(dir + "/ns/net"); err == nil && ns != "" {
			add(Text(ns), dir+"/net/")
		}
	}
	return list
}

func (t *SocketTable) readTable(r *Root, ns netNS, proto string) {
	var err error
	for _, dir := range ns.dirs {
		if err = t.readFile(r, dir+proto, proto, ns.name); !gone(err) {
			break
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6 has no tcp6
		t.gap(string(ns.name)+" "+proto, err)
	}
}

func (t *SocketTable) readFile(r *Root, name, proto string, ns Text) error {
	f, err := r.open(name, true)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Scan() // the heading
	for lines.Scan() {
		if len(t.Sockets) >= socketLimit {
			return fmt.Errorf("more than %d sockets", socketLimit)
		}
		parse := parseInet
		if proto == "unix" {
			parse = parseUnix
		}
		s, err := parse(lines.Text())
		if err != nil {
			t.Malformed++
			continue
		}
		s.Record, s.Proto, s.NetNS = "socket", proto, ns
		t.Sockets = append(t.Sockets, s)
	}
	return lines.Err()
}

// tcpStates are those of include/net/tcp_states.h, by the names of ss(8). UDP uses 1 and 7.
var tcpStates = []string{
	"", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN",
	"CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING", "NEW-SYN-RECV", "BOUND-INACTIVE",
}

// parseInet reads "sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode …".
func parseInet(line string) (Socket, error) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return Socket{}, errors.New("too few fields")
	}
	var s Socket
	var err error
	if s.Local, err = parseAddr(f[1]); err != nil {
		return s, err
	}
	if s.Remote, err = parseAddr(f[2]); err != nil {
		return s, err
	}
	st, err := strconv.ParseUint(f[3], 16, 8)
	if err != nil {
		return s, err
	}
	s.State = f[3]
	if st > 0 && int(st) < len(tcpStates) {
		s.State = tcpStates[st]
	}
	uid, err := strconv.ParseUint(f[7], 10, 32)
	if err != nil {
		return s, err
	}
	s.UID = uint32(uid)
	s.Inode, err = strconv.ParseUint(f[9], 10, 64)
	return s, err
}

// parseAddr reads "0100007F:4965": the address in 32-bit words as they lie in this machine's memory, the port as
// a number. Every machine this tool is built for is little-endian.
func parseAddr(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, fmt.Errorf("address %q", s)
	}
	for w := 0; w < len(b); w += 4 {
		slices.Reverse(b[w : w+4])
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port %q", s)
	}
	addr, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

// parseUnix reads "Num: RefCount Protocol Flags Type St Inode Path".
func parseUnix(line string) (Socket, error) {
	f := strings.SplitN(line, " ", 7)
	if len(f) < 7 || !strings.HasSuffix(f[0], ":") {
		return Socket{}, errors.New("too few fields")
	}
	inode, name, _ := strings.Cut(strings.TrimLeft(f[6], " "), " ") // the inode is padded to five columns
	s := Socket{Path: Text(name)}
	flags, err := strconv.ParseUint(f[3], 16, 32)
	if err != nil {
		return s, err
	}
	if _, err := strconv.ParseUint(f[5], 16, 8); err != nil {
		return s, err
	}
	switch {
	case flags&0x10000 != 0: // __SO_ACCEPTCON
		s.State = "LISTEN"
	case f[5] == "03":
		s.State = "ESTAB"
	case f[5] == "01":
		s.State = "UNCONN"
	default:
		s.State = f[5]
	}
	s.Inode, err = strconv.ParseUint(inode, 10, 64)
	return s, err
}
