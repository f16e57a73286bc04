package shell

import (
	"slices"
	"strings"
)

// A write is a Write before it is known what it holds.
type write struct {
	Write
	content value
}

// maxFiles is how many paths of each kind are kept.
const maxFiles = 1024

// read notes a path whose content is read.
func (s *script) read(path string) {
	if path != "" && path != "-" && path != "{}" && !isDevice(path) && len(s.cmd.Reads) < maxFiles {
		s.cmd.Reads = once(s.cmd.Reads, path)
	}
}

// write notes a change of a file.
func (s *script) write(path string, w write) {
	if path == "" || path == "-" || isDevice(path) {
		return
	}
	if len(s.writes) >= maxFiles {
		s.cmd.Cut = true
		return
	}
	w.Path = path
	s.writes = append(s.writes, w)
}

// output notes that text goes to a file, and keeps it in case the file is run.
func (s *script) output(path string, appends bool, text value) {
	s.write(path, write{
		Write:   Write{Append: appends, Truncate: !appends && text.exact && text.text == "", Known: text.exact},
		content: text,
	})
	if path == "" || path == "-" || isDevice(path) {
		return
	}
	if len(s.cmd.Outputs) < maxFiles {
		s.cmd.Outputs = once(s.cmd.Outputs, path)
	}
	if appends {
		var b builder
		b.add(s.content(path))
		b.add(text)
		text = s.bounded(b)
	}
	s.keep(path, text)
}

// keep remembers what the command wrote to a file, and content returns it.
func (s *script) keep(path string, text value) {
	if s.files == nil {
		s.files = map[string]value{}
	}
	if len(s.files) < maxFiles {
		s.files[strings.TrimPrefix(path, "./")] = text
	}
}

func (s *script) content(path string) value { return s.files[strings.TrimPrefix(path, "./")] }

// download notes that something unknown is fetched into a file.
func (s *script) download(path string) { s.output(path, false, value{}) }

// isDevice reports whether a path is one of the devices that keep nothing.
func isDevice(path string) bool {
	switch path {
	case "/dev/null", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/tty", "/dev/zero", "/dev/random", "/dev/urandom":
		return true
	}
	return strings.HasPrefix(path, descriptor) || strings.HasPrefix(path, "<(") || strings.HasPrefix(path, ">(")
}

// reach notes the files and hosts that a program's words name.
func (s *script) reach(c invocation) {
	s.hostsOf(c)
	args := c.operands()
	switch c.name {
	case "cat", "bat", "tac", "less", "more", "head", "tail", "base64", "base32", "xxd", "strings", "od", "hexdump", "sort", "uniq", "cut",
		"wc", "nl", "rev", "md5sum", "sha1sum", "sha256sum", "shasum", "file", "diff", "cmp", "sqlite3", "zcat", "gunzip", "jq", "yq",
		"grep", "egrep", "fgrep", "zgrep", "rg", "ag", "awk", "gawk", "vim", "vi", "nano", "view", "open", "age", "gpg", "split", "column":
		s.readOperands(c)
	case "sed", "gsed":
		s.sed(c)
	case "perl", "ruby":
		if hasLetter(c, "i") && hasLetter(c, "e") {
			s.edit(c, flags{short: "eI"})
		}
	case "cp", "mv", "install", "ln", "ditto":
		s.copy(c)
	case "scp", "rsync":
		s.remoteCopy(c)
	case "rm", "shred", "unlink", "trash", "rmdir", "srm":
		for _, a := range named(args, flags{short: "ns"}) {
			s.write(a.text, write{Write: Write{Delete: true}})
		}
	case "truncate":
		for _, a := range named(args, flags{"sr", []string{"size", "reference"}}) {
			s.write(a.text, write{Write: Write{Truncate: true, Known: true}})
		}
	case "dd":
		s.dd(args)
	case "curl":
		s.curl(args)
	case "wget":
		s.wget(args)
	case "tar", "bsdtar", "gtar":
		s.tar(args)
	case "zip", "7z", "7za", "7zz", "rar":
		s.archive(c)
	case "patch":
		s.patch(c.in)
	case "git":
		if len(args) > 0 && (args[0].text == "apply" || args[0].text == "am") {
			s.patch(c.in)
		}
	}
}

// inputs returns the words of a reading program that name files.
func inputs(c invocation) []arg {
	f := flags{"ncedfmABCkw", []string{"lines", "bytes", "regexp", "include", "exclude", "max-count"}}
	switch c.name {
	case "openssl":
		if file, ok := option(c.operands(), 0, "in"); ok {
			return []arg{file}
		}
		if i := slices.IndexFunc(c.args, func(a arg) bool { return a.text == "-in" }); i > 0 && i+1 < len(c.args) {
			return c.args[i+1 : i+2]
		}
		return nil
	case "base64", "gbase64", "base32", "gpg", "age", "jq", "yq", "gunzip", "zcat", "gzip":
		f = flags{short: "wbo"}
	case "head", "tail":
		f = flags{"nc", []string{"lines", "bytes"}}
	case "xxd":
		f = flags{short: "clsgo"}
	case "sed":
		f = flags{"efl", []string{"expression", "file"}}
	case "cat", "bat", "tac", "rev", "less", "more", "zip", "strings", "md5sum", "sha256sum", "shasum":
		f = flags{}
	}
	files := slices.DeleteFunc(named(c.operands(), f), func(a arg) bool { return a.inert })
	if strings.HasSuffix(c.name, "awk") && len(files) > 0 && canRunAwk(files[0].text) {
		return files[1:]
	}
	return files
}

// named returns the operands.
func named(args []arg, f flags) []arg {
	var found []arg
	for i := 0; i < len(args); i++ {
		switch text := args[i].text; {
		case text == "--":
			return append(found, args[i+1:]...)
		case len(text) > 1 && text[0] == '-':
			if takesNext(text, f) {
				i++
			}
		default:
			found = append(found, args[i])
		}
	}
	return found
}

func (s *script) readOperands(c invocation) {
	for _, a := range inputs(c) {
		if c.name == "grep" && a.text == "." {
			continue
		}
		s.read(a.text)
		if c.name == "sqlite3" || c.name == "split" {
			return
		}
	}
}

// sed notes the files that sed reads, or changes in place.
func (s *script) sed(c invocation) {
	f := flags{"efl", []string{"expression", "file"}}
	if slices.ContainsFunc(c.operands(), func(a arg) bool {
		return strings.HasPrefix(a.text, "-i") || strings.HasPrefix(a.text, "--in-place") || len(a.text) < 5 && strings.HasPrefix(a.text, "-") && strings.HasSuffix(a.text, "i")
	}) {
		s.edit(c, f)
		return
	}
	for _, a := range named(c.operands(), f) {
		if !a.inert {
			s.read(a.text)
		}
	}
}

// edit notes the files that a program changes in place. Its program is what is known of the text.
func (s *script) edit(c invocation, f flags) {
	args := c.operands()
	program, named := value{}, named(args, f)
	if e, ok := option(args, 'e', "expression"); ok {
		program = e.value
	} else if len(named) > 0 {
		program, named = named[0].value, named[1:]
	}
	program.exact = false
	for _, a := range named {
		s.write(a.text, write{content: program})
	}
}

// copy notes sources and destination of cp, mv, install and ln.
func (s *script) copy(c invocation) {
	args := c.operands()
	files := named(args, flags{"tmogS", []string{"target-directory", "mode", "owner", "group", "suffix"}})
	dir, into := option(args, 't', "target-directory")
	if !into {
		if len(files) < 2 {
			return
		}
		dir, files = files[len(files)-1], files[:len(files)-1]
	}
	for _, f := range files {
		if c.name != "ln" {
			s.read(f.text)
		}
		if c.name == "mv" {
			s.write(f.text, write{Write: Write{Delete: true}})
		}
		path := dir.text
		if into || strings.HasSuffix(path, "/") {
			path = strings.TrimSuffix(path, "/") + "/" + baseName(f.text)
		}
		content := s.content(f.text)
		if f.text == "/dev/null" {
			content = known("")
		}
		s.write(path, write{Write: Write{Known: content.exact, Truncate: f.text == "/dev/null"}, content: content})
		s.keep(path, content)
	}
}

// remoteCopy notes the local sources and the local destination of scp and rsync.
func (s *script) remoteCopy(c invocation) {
	files := named(c.operands(), flags{"PiFcloSJXDe", []string{"rsh", "exclude", "include", "port"}})
	for i, f := range files {
		remote := isRemote(f.text)
		if remote {
			continue
		}
		if i == len(files)-1 && i > 0 {
			s.download(f.text)
		} else {
			s.read(f.text)
		}
	}
}

// isRemote reports whether scp takes a word for a path on another host.
func isRemote(text string) bool {
	i := strings.IndexByte(text, ':')
	return i > 0 && !strings.Contains(text[:i], "/") || strings.Contains(text, "::") || strings.HasPrefix(text, "scp://") || strings.HasPrefix(text, "rsync://")
}

func (s *script) dd(args []arg) {
	for _, a := range args {
		if path, ok := strings.CutPrefix(a.text, "of="); ok {
			s.download(path)
		}
		if path, ok := strings.CutPrefix(a.text, "if="); ok {
			s.read(path)
		}
	}
}

// curl notes the files that curl writes and those that it sends.
func (s *script) curl(args []arg) {
	for i, a := range args {
		next := at(args, i+1).text
		switch text := a.text; {
		case text == "--output" || text == "--dump-header" || text == "--cookie-jar" || text == "-D" || text == "-c":
			s.download(next)
		case strings.HasPrefix(text, "--output="):
			s.download(text[len("--output="):])
		case text == "-T" || text == "--upload-file" || text == "-K" || text == "--config" || text == "--netrc-file" || text == "-E" || text == "--key":
			s.read(next)
		case text == "-F" || text == "--form" || text == "-d" || strings.HasPrefix(text, "--data") || text == "--json":
			s.sent(next)
		case text == "--remote-name":
			s.downloadName(args)
		case strings.HasPrefix(text, "-") && !strings.HasPrefix(text, "--"):
			s.curlLetters(args, i)
		}
	}
}

// curlLetters reads -o and -O where they stand among other letters: -fsSLo FILE, -oFILE, -sO.
func (s *script) curlLetters(args []arg, i int) {
	text := args[i].text
	switch k := strings.IndexAny(text, "oO"); {
	case k < 0 || strings.ContainsAny(text[1:k], "HdFTXubAeKmr"):
	case text[k] == 'O':
		s.downloadName(args)
	case k+1 < len(text):
		s.download(text[k+1:])
	default:
		s.download(at(args, i+1).text)
	}
}

// downloadName notes the file that a download is named for by its URL.
func (s *script) downloadName(args []arg) {
	for _, a := range args {
		if _, path, ok := strings.Cut(a.text, "://"); ok || !strings.HasPrefix(a.text, "-") && strings.Contains(a.text, "/") {
			path, _, _ = strings.Cut(path, "?")
			if name := baseName(path); strings.Contains(path, "/") && name != "" && !strings.HasSuffix(path, "/") {
				s.download(name)
			}
			return
		}
	}
}

// sent notes a file in the data that curl sends: @file, name=@file, name=<file, name@file.
func (s *script) sent(text string) {
	for _, mark := range []string{"=@", "=<", "@"} {
		i := strings.Index(text, mark)
		if i < 0 || mark == "@" && i > 0 && !isName(text[:i]) {
			continue
		}
		path, _, _ := strings.Cut(text[i+len(mark):], ";")
		s.read(path)
		return
	}
}

func (s *script) wget(args []arg) {
	named := false
	for i, a := range args {
		next := at(args, i+1).text
		switch text := a.text; {
		case text == "--output-document":
			s.download(next)
			named = true
		case strings.HasPrefix(text, "--output-document="):
			s.download(text[len("--output-document="):])
			named = true
		case strings.HasPrefix(text, "--post-file="), strings.HasPrefix(text, "--body-file="):
			s.read(text[len("--post-file="):])
		case text == "--post-file" || text == "--body-file" || text == "-i":
			s.read(next)
		case strings.HasPrefix(text, "-") && !strings.HasPrefix(text, "--") && strings.Contains(text, "O"):
			named = true
			if k := strings.IndexByte(text, 'O'); k+1 < len(text) {
				s.download(text[k+1:])
			} else {
				s.download(next)
			}
		}
	}
	if !named {
		s.downloadName(args)
	}
}

// tar notes what goes into an archive, and the archive.
func (s *script) tar(args []arg) {
	if len(args) == 0 {
		return
	}
	mode := args[0].text
	creates := strings.ContainsAny(strings.SplitN(mode, "=", 2)[0], "cru") && !strings.HasPrefix(mode, "--") || mode == "--create"
	archive, hasArchive := option(args, 'f', "file")
	if !hasArchive && !strings.HasPrefix(mode, "-") && strings.HasSuffix(mode, "f") {
		archive, hasArchive = at(args, 1), true
	}
	if hasArchive && creates {
		s.download(archive.text)
	} else if hasArchive {
		s.read(archive.text)
	}
	if !creates {
		return
	}
	for i, a := range named(args, flags{"fCTX", []string{"file", "directory", "exclude"}}) {
		if (i > 0 || a.text != mode || strings.HasPrefix(mode, "-")) && a.text != archive.text {
			s.read(a.text)
		}
	}
}

func (s *script) archive(c invocation) {
	files := named(c.operands(), flags{short: "Px"})
	if c.name != "zip" {
		if len(files) < 2 || files[0].text != "a" {
			return
		}
		files = files[1:]
	}
	for i, f := range files {
		if i == 0 {
			s.download(f.text)
		} else {
			s.read(f.text)
		}
	}
}

// patch notes the files that a patch on the input changes, with the lines it adds.
func (s *script) patch(in value) {
	var path string
	var added strings.Builder
	flush := func() {
		if path != "" && path != "/dev/null" {
			s.write(path, write{Write: Write{Append: true, Known: true}, content: known(added.String())})
		}
		added.Reset()
	}
	for l := range strings.Lines(in.text) {
		switch {
		case strings.HasPrefix(l, "+++ "):
			flush()
			path, _, _ = strings.Cut(strings.TrimSpace(l[4:]), "\t")
			path = strings.TrimPrefix(path, "b/")
		case strings.HasPrefix(l, "+"):
			added.WriteString(l[1:])
		}
	}
	flush()
}
