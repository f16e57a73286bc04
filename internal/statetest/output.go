package statetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// outputOf is what a command of the benign corpus prints, true to its kind, and its exit code.
func outputOf(rnd *rand.Rand, command string) (string, int) {
	words := strings.Fields(command)
	n := rnd.IntN(900)
	switch words[0] {
	case "ls", "find", "tree", "fd":
		return fmt.Sprintf("total %d\ndrwxr-xr-x  4 claw claw 4096 Nov 26 07:%02d .\n-rw-r--r--  1 claw claw %4d Nov 26 08:11 README.md\n-rw-r--r--  1 claw claw  %d Nov 25 17:40 notes.md", n/10, n%60, n, n+100), 0
	case "git":
		return gitOutput(n, command)
	case "df":
		return "Filesystem      Size  Used Avail Use% Mounted on\n/dev/sda1       251G  " + fmt.Sprint(60+n%100) + "G  130G  48% /", 0
	case "ps", "top", "pgrep":
		return fmt.Sprintf("    PID CMD                         %%CPU\n   %4d /usr/sbin/nginx -g daemon off;  0.%d\n   %4d node server.mjs                 1.2", 900+n, n%10, 1900+n), 0
	case "npm", "pnpm", "yarn", "npx", "bun", "node":
		return fmt.Sprintf("\n> test\n> vitest run\n\n Test Files  %d passed (%d)\n      Tests  %d passed (%d)", 3+n%9, 3+n%9, 20+n, 20+n), 0
	case "go":
		return fmt.Sprintf("ok  \tbakehouse.example/shop/parser\t0.%03ds\nok  \tbakehouse.example/shop/till\t(cached)", n), 0
	case "cargo", "make", "cmake", "ctest":
		return fmt.Sprintf("    Finished `release` profile [optimized] target(s) in %d.%ds", n%50, n%10), 0
	case "docker", "podman":
		return fmt.Sprintf("CONTAINER ID   IMAGE          STATUS         NAMES\n4f2a%04x1c9d   nginx:alpine   Up %d hours    web", n, 1+n%40), 0
	case "kubectl", "helm":
		return fmt.Sprintf("NAME                        READY   STATUS    RESTARTS   AGE\noven-api-7c9d5b6f4-%03dxz   1/1     Running   %d          12d", n, n%3), 0
	case "curl", "http", "xh", "wget":
		return fmt.Sprintf(`{"status":"ok","id":%d,"updated":"2026-11-27T06:%02d:00Z"}`, n, n%60), 0
	case "grep", "rg", "!":
		if n%3 == 0 {
			return "", 1 // nothing found
		}
		return fmt.Sprintf("docs/runbook.md:%d:see the section on deployments", n), 0
	case "cat", "head", "tail", "less":
		return "line one\nline two\nline three", 0
	}
	if n%17 == 0 {
		return fmt.Sprintf("%s: command not found", words[0]), 127
	}
	return "", 0
}

func gitOutput(n int, command string) (string, int) {
	switch {
	case strings.Contains(command, "log"):
		return fmt.Sprintf("%07x Fix the rounding of flour weights\n%07x Add the winter menu\n%07x Merge pull request #%d", n*7919, n*104729, n*1299709, n), 0
	case strings.Contains(command, "status"):
		return " M src/price.go\n?? notes/ideas.md", 0
	case strings.Contains(command, "commit"):
		return fmt.Sprintf("[main %07x] Fix\n 1 file changed, %d insertions(+)", n*7919, 1+n%40), 0
	}
	return "", 0
}
