package openclaw

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A User is an account of the host.
type User struct {
	Name  string
	UID   int
	Home  string
	Shell string
}

// maxUsers bounds the accounts: every one's home is looked into, and an image's etc/passwd is whoever's who handed it over.
const maxUsers = 50_000

// Users returns the accounts of the host: those of etc/passwd, and where that has none (a home directory
// copied on its own, macOS) the directories under /home, /Users and /root.
func Users(fsys fs.FS) ([]User, []Gap) {
	text, gap := readSmall(fsys, "/etc/passwd")
	for i := range gap {
		gap[i].Unknown = true
	}
	var users []User
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 7 || !path.IsAbs(f[5]) {
			continue
		}
		uid, err := strconv.Atoi(f[2])
		if err != nil {
			continue
		}
		users = append(users, User{Name: f[0], UID: uid, Home: path.Clean(f[5]), Shell: f[6]})
	}
	users = append(users, homes(fsys, users)...)
	if len(users) > maxUsers {
		gap = append(gap, Gap{Path: "/etc/passwd", What: fmt.Sprintf("%d accounts, with the homes that it does not list; what belongs to those after the first %d was not looked for", len(users), maxUsers), Unknown: true})
		users = users[:maxUsers]
	}
	return users, gap
}

// homes returns the accounts of the homes that none of users has.
func homes(fsys fs.FS, users []User) (more []User) {
	known := make(map[string]bool, len(users))
	for _, u := range users {
		known[u.Home] = true
	}
	add := func(home string) {
		if !known[home] {
			more = append(more, User{Name: path.Base(home), UID: -1, Home: home})
		}
	}
	for _, dir := range []string{"/home", "/Users"} {
		entries, _ := fs.ReadDir(fsys, FSName(dir))
		for _, e := range entries {
			add(path.Join(dir, e.Name()))
		}
	}
	add("/root")
	return more
}

// groupsOf are the groups that etc/group says an account is in, beside its own.
func groupsOf(fsys fs.FS, user string) (gids []uint32) {
	text, _ := readSmall(fsys, "/etc/group")
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 4 || user == "" || !slices.Contains(strings.Split(f[3], ","), user) {
			continue
		}
		if gid, err := strconv.ParseUint(f[2], 10, 32); err == nil {
			gids = append(gids, uint32(gid))
		}
	}
	return gids
}
