package main

import "golang.org/x/sys/unix"

// lentCapabilities reports whether the process got capabilities by its file. Those that a service manager or a container hands on are
// ambient, and stay with whoever has them.
func lentCapabilities() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil {
		return false
	}
	permitted := uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32
	for c := uintptr(0); permitted>>c != 0; c++ {
		ambient, _, _ := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, c)
		if permitted>>c&1 == 1 && ambient != 1 {
			return true
		}
	}
	return false
}
