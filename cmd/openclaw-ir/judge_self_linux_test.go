package main

import "testing"

// TestJudge has the judge look at calls that must not be made, beside those like them that may.
func TestJudge(t *testing.T) {
	j := &judge{
		tracer: &tracer{responder: &responder{dir: "/t", cases: "/t/cases"}}, line: tracedLine{writes: "B.age"},
		asked: []string{"192.0.2.1:443", "[2001:db8::1]:22"}, contacted: map[string]bool{}, children: map[string]bool{"70": true},
	}
	for line, wrong := range map[string]bool{
		`connect(5<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.1")}, 16) = -1 EINPROGRESS`:                                                                false,
		`connect(5<TCPv6:[1]>, {sa_family=AF_INET6, sin6_port=htons(22), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 0`:                  false,
		`connect(5<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("192.0.2.1")}, 16) = 0`:                                                                              true,
		`connect(5<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.2")}, 16) = 0`:                                                                             true,
		`connect(5<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path="/run/x"}, 9) = 0`:                                                                                                         true,
		`sendto(5<UDP:[1]>, "x", 1, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("192.0.2.1")}, 16) = 1`:                                                                    true,
		`sendmsg(5<UDP:[1]>, {msg_name={sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("192.0.2.1")}, msg_namelen=16, msg_iov=[{iov_base="x", iov_len=1}], msg_iovlen=1}, 0) = 1`: true,
		`bind(5<TCPv6:[1]>, {sa_family=AF_INET6, sin6_port=htons(0), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28) = 0`:                              false,
		`bind(5<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("0.0.0.0")}, 16) = 0`:                                                                                 true,
		`listen(5<TCP:[1]>, 128) = 0`:                                            true,
		`write(5</t/cases/one/custody.jsonl>, "x", 1) = 1`:                       false,
		`write(5</t/cases/one/custody.jsonl>, "x` + marker + `", 1) = 1`:         true,
		`write(5</t/.B.age.1>, "x", 1) = 1`:                                      false,
		`write(5</t/other>, "x", 1) = 1`:                                         true,
		`openat(AT_FDCWD</t>, "host/x", O_RDONLY|O_NOATIME) = 5</t/host/x>`:      false,
		`openat(AT_FDCWD</t>, "host/x", O_RDONLY) = 5</t/host/x>`:                true,
		`openat(AT_FDCWD</t>, "host/x", O_RDWR|O_NOATIME) = 5</t/host/x>`:        true,
		`unlinkat(AT_FDCWD</t>, "/t/host/x", 0) = 0`:                             true,
		`execve("/usr/bin/env", ["env"], 0x1 /* 1 var */) = 0`:                   false,
		`execve("env", ["env"], 0x1 /* 1 var */) = 0`:                            true,
		`execve("/tmp/env", ["env"], 0x1 /* 1 var */) = -1 ENOENT`:               true,
		`execve("/usr/bin/env", ["env", "` + marker + `"], 0x1 /* 1 var */) = 0`: true,
		`mmap(NULL, 4096, PROT_READ, MAP_SHARED, 5</t/host/x>, 0) = 0x1`:         true,
		`kill(7, 0) = 0`:              false,
		`kill(-70, SIGKILL) = 0`:      false,
		`kill(-7, SIGKILL) = 0`:       true,
		`ptrace(PTRACE_SEIZE, 7) = 0`: true,
	} {
		c, ok := parseCall(line)
		if why := j.wrong(c); !ok || (why != "") != wrong {
			t.Errorf("%s: %q, parsed %v", line, why, ok)
		}
	}
	if len(j.contacted) != 2 {
		t.Errorf("contacted %v", j.contacted)
	}
}
