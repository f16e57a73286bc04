package openclaw

import (
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

// Users returns the accounts of the host: those of etc/passwd, and where that has none (a home directory
// copied on its own, macOS) the directories under /home, /Users and /root.
func Users(fsys fs.FS) ([]User, []Gap) {
	text, gap := readSmall(fsys, "/etc/passwd")
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
	for _, dir := range []string{"/home", "/Users"} {
		entries, _ := fs.ReadDir(fsys, FSName(dir))
		for _, e := range entries {
			users = addHome(users, path.Join(dir, e.Name()), e.Name())
		}
	}
	users = addHome(users, "/root", "root")
	return users, gap
}

func addHome(users []User, home, name string) []User {
	if slices.ContainsFunc(users, func(u User) bool { return u.Home == home }) {
		return users
	}
	return append(users, User{Name: name, UID: -1, Home: home})
}
