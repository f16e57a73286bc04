module github.com/clawbook/openclaw-ir

go 1.26.0

// What is released is built with this one: its standard library is the largest dependency of all.
toolchain go1.26.11

// Behind each module stands why it is here and its licence; behind one that is not linked into the binary, "tests:".
require (
	filippo.io/age v1.3.2 // seals bundles to keys and passphrases; BSD-3-Clause
	github.com/chromedp/cdproto v0.160.1 // tests: what chromedp speaks; MIT
	github.com/chromedp/chromedp v0.23.1 // tests: the page in a real browser; MIT
	github.com/coder/websocket v1.8.15 // asks the gateway, after rotate, whether an old token still opens it; ISC
	github.com/emersion/go-message v0.18.2 // writes the letter as a mail; MIT
	github.com/fatih/color v1.19.0 // colours on a terminal; MIT
	github.com/go-json-experiment/json v0.0.0-20260820222146-c27c302e5fc3 // manifests and JSONL of gigabytes, token by token; BSD-3-Clause
	github.com/google/go-cmp v0.7.0 // tests: says what differs; BSD-3-Clause
	github.com/hiddeco/sshsig v0.2.0 // seals that ssh-keygen verifies; Apache-2.0
	github.com/klauspost/compress v1.20.3 // zstd: frames of bundles, OpenClaw's rows and archives; Apache-2.0 BSD-3-Clause MIT
	github.com/minio/minio-go/v7 v7.4.1 // bundles to S3-compatible stores; Apache-2.0
	github.com/ncruces/go-sqlite3 v0.35.6 // databases read without cgo, through a file system of ours that cannot write; MIT
	github.com/pkg/sftp v1.13.12 // bundles over SFTP; BSD-2-Clause
	github.com/rogpeppe/go-internal v1.16.0 // tests: testscript; BSD-3-Clause
	github.com/schollz/progressbar/v3 v3.19.1 // progress on a terminal; MIT
	github.com/sergi/go-diff v1.4.0 // differences between configurations; MIT
	github.com/urfave/cli/v2 v2.27.7 // commands and flags; MIT
	github.com/wneessen/go-mail v0.8.1 // tests: reads the mail that another library wrote; MIT
	github.com/xrash/smetrics v0.0.0-20240521201337-686a1a2994c1 // suggests the command that was meant; cli has it too; MIT
	github.com/yuin/goldmark v1.8.7 // tests: reads the Markdown; MIT
	go.yaml.in/yaml/v3 v3.0.6 // rules and suppressions; Apache-2.0 MIT
	golang.org/x/crypto v0.58.0 // SSH for SFTP, and keys; BSD-3-Clause
	golang.org/x/net v0.62.0 // minio: checks headers; the tests read the page with it; BSD-3-Clause
	golang.org/x/sys v0.49.0 // freezing, mounts, openat2; BSD-3-Clause
	golang.org/x/term v0.47.0 // passphrases without echo; BSD-3-Clause
	golang.org/x/time v0.16.0 // --limit-rate; BSD-3-Clause
	golang.org/x/tools v0.51.0 // tests: txtar; BSD-3-Clause
	mvdan.cc/sh/v3 v3.14.1 // reads shell commands as a shell does; BSD-3-Clause
	pgregory.net/rapid v1.3.0 // tests: made-up inputs; MPL-2.0
)

// Behind each of these stands what needs it.
require (
	filippo.io/edwards25519 v1.2.0 // indirect; age: ssh-ed25519 recipients; BSD-3-Clause
	filippo.io/hpke v0.4.0 // indirect; age: post-quantum recipients; BSD-3-Clause
	github.com/cespare/xxhash/v2 v2.3.0 // indirect; minio; MIT
	github.com/cpuguy83/go-md2man/v2 v2.0.7 // indirect; cli; MIT
	github.com/dustin/go-humanize v1.0.1 // indirect; minio; MIT
	github.com/google/uuid v1.6.0 // indirect; minio; BSD-3-Clause
	github.com/klauspost/cpuid/v2 v2.4.0 // indirect; minio; MIT
	github.com/klauspost/crc32 v1.3.0 // indirect; minio; BSD-3-Clause
	github.com/kr/fs v0.1.0 // indirect; sftp; BSD-3-Clause
	github.com/mattn/go-colorable v0.1.15 // indirect; color; MIT
	github.com/mattn/go-isatty v0.0.22 // indirect; color; MIT
	github.com/minio/crc64nvme v1.1.1 // indirect; minio; Apache-2.0
	github.com/minio/md5-simd v1.1.2 // indirect; minio; Apache-2.0 BSD-3-Clause
	github.com/mitchellh/colorstring v0.0.0-20190213212951-d06e56a500db // indirect; progressbar; MIT
	github.com/ncruces/go-sqlite3-wasm/v6 v6.3.35304 // indirect; go-sqlite3: SQLite itself, translated to Go; MIT
	github.com/ncruces/julianday v1.0.0 // indirect; go-sqlite3; MIT
	github.com/philhofer/fwd v1.2.0 // indirect; minio; MIT
	github.com/rivo/uniseg v0.4.7 // indirect; progressbar; MIT
	github.com/rs/xid v1.6.0 // indirect; minio; MIT
	github.com/russross/blackfriday/v2 v2.1.0 // indirect; cli; BSD-2-Clause
	github.com/tinylib/msgp v1.6.4 // indirect; minio; MIT
	github.com/zeebo/xxh3 v1.1.0 // indirect; minio; BSD-2-Clause
	golang.org/x/text v0.43.0 // indirect; minio: checks headers; BSD-3-Clause
	gopkg.in/ini.v1 v1.67.3 // indirect; minio; Apache-2.0
)
