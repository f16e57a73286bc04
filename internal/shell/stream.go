package shell

import (
	"slices"
	"strings"
)

// streamOf returns what follows a program that prints its words or passes its input on, changed in a known way.
func streamOf(name string) action {
	switch name {
	case "echo":
		return runEcho
	case "printf":
		return runPrintf
	case "cat", "bat", "tac", "head", "tail", "sort", "uniq", "cut", "less", "more", "column", "fold", "pv", "sponge", "iconv", "dos2unix",
		"grep", "egrep", "fgrep", "sed", "awk", "gawk", "mawk", "nl", "strings":
		return runFilter
	case "tee":
		return runTee
	case "tr":
		return runTr
	case "rev":
		return runRev
	case "base64", "gbase64", "base32", "xxd", "openssl", "gunzip", "zcat", "gzip", "gzcat", "uudecode":
		return runDecoder
	case "read", "mapfile", "readarray":
		return runRead
	case "unset", ":", "true", "false", "cd", "exit", "return", "shift", "wait", "set", "pwd":
		return runBuiltin
	case "which", "type", "man", "whatis", "whereis", "apropos", "help", "info", "tldr", "hash", "compgen":
		return func(s *script, c invocation) value { return s.lookUp(c) }
	}
	if isInterpreter(name) {
		return runInterpreter
	}
	return nil
}

// runEcho returns what echo prints. Its words are data until something runs that.
func runEcho(s *script, c invocation) value {
	args := c.operands()
	i := 0
	escapes, newline := false, true
	for ; i < len(args) && isEchoFlag(args[i].text); i++ {
		escapes = escapes || strings.Contains(args[i].text, "e")
		newline = newline && !strings.Contains(args[i].text, "n")
	}
	out := s.printed(args[i:])
	if text := ansi(out.text); escapes && text != out.text {
		out = out.computed(text)
		out.decoded = true
	}
	if newline {
		out.text += "\n"
	}
	return out
}

func isEchoFlag(text string) bool {
	return len(text) > 1 && text[0] == '-' && strings.Trim(text[1:], "neE") == ""
}

// printed returns words as one text and marks them as data.
func (s *script) printed(args []arg) value {
	for i := range args {
		s.inert(&args[i])
	}
	return joined(args, " ")
}

// runPrintf returns what printf prints, or gives it to a variable.
func runPrintf(s *script, c invocation) value {
	args := c.operands()
	if len(args) > 2 && args[0].text == "-v" {
		s.set(args[1].text, variable{values: []value{s.format(args[2:])}})
		return known("")
	}
	if len(args) > 0 && args[0].text == "--" {
		args = args[1:]
	}
	return s.format(args)
}

// format applies printf's format to its words, again while there are any left.
func (s *script) format(args []arg) value {
	if len(args) == 0 {
		return known("")
	}
	all := s.printed(args)
	var b builder
	format, rest := args[0].text, args[1:]
	for turn := 0; turn < maxFields && len(b.buf) <= maxValue; turn++ {
		rest = formatOnce(&b, format, rest)
		if len(rest) == 0 {
			break
		}
	}
	out := b.value()
	out.data = all.data
	out.exact = all.exact
	out.decoded = out.decoded || all.decoded
	if out.decoded {
		out.segs = nil
	}
	return out
}

func formatOnce(b *builder, format string, args []arg) (rest []arg) {
	took := false
	for i := 0; i < len(format); {
		switch {
		case format[i] == '\\' && i+1 < len(format):
			text, n := ansiEscape(format[i+1:])
			b.decoded = b.decoded || strings.IndexByte("xuU01234567", format[i+1]) >= 0
			b.write(text)
			i += 1 + n
		case format[i] == '%' && i+1 < len(format):
			n := 1 + len(format[i+1:]) - len(strings.TrimLeft(format[i+1:], "-+ #0123456789.*"))
			if i+n >= len(format) {
				return nil
			}
			if verb := format[i+n]; verb == '%' {
				b.write("%")
			} else if len(args) > 0 {
				formatArg(b, verb, args[0])
				args, took = args[1:], true
			}
			i += n + 1
		default:
			b.write(format[i : i+1])
			i++
		}
	}
	if !took {
		return nil
	}
	return args
}

func formatArg(b *builder, verb byte, a arg) {
	if verb == 'b' && ansi(a.text) != a.text {
		b.write(ansi(a.text))
		b.decoded = true
		return
	}
	b.literal(a.text, a.segs)
}

// runFilter returns the input of a program that passes on all or some of it, or what is in the files that it reads.
func runFilter(s *script, c invocation) value {
	s.external(c)
	out, fromFiles := s.filesRead(c)
	if !fromFiles {
		out = c.in
	}
	if c.name != "cat" && c.name != "bat" {
		out.exact = false
	}
	return out
}

// filesRead returns what the command itself has written to the files among the operands.
func (s *script) filesRead(c invocation) (out value, named bool) {
	var b builder
	for _, a := range inputs(c) {
		if a.text == "-" {
			b.add(c.in)
			continue
		}
		named = true
		b.add(s.content(a.text))
	}
	return s.bounded(b), named
}

// runTee returns its input, which also goes to files.
func runTee(s *script, c invocation) value {
	s.useArgs(c)
	appends := false
	for _, a := range c.operands() {
		switch {
		case a.text == "-a" || a.text == "--append":
			appends = true
		case !strings.HasPrefix(a.text, "-"):
			s.output(a.text, appends, c.in)
		}
	}
	return c.in
}

// runTr applies tr to a known input.
func runTr(s *script, c invocation) value {
	s.useArgs(c)
	args := c.operands()
	remove, squeeze := false, false
	for len(args) > 0 && len(args[0].text) > 1 && args[0].text[0] == '-' {
		remove = remove || strings.Contains(args[0].text, "d")
		squeeze = squeeze || strings.ContainsAny(args[0].text, "csC")
		args = args[1:]
	}
	in := c.in
	if squeeze || len(args) == 0 {
		in.exact = false
		return in
	}
	from := trSet(args[0].text)
	to := ""
	if len(args) > 1 && !remove {
		to = trSet(args[1].text)
	}
	out := in.computed(translate(in.text, from, to))
	out.decoded = in.decoded || len(from) > 8
	return out
}

// translate maps each byte of from to that of to; where to is empty they go.
func translate(text, from, to string) string {
	b := make([]byte, 0, len(text))
	for i := range len(text) {
		switch k := strings.IndexByte(from, text[i]); {
		case k < 0:
			b = append(b, text[i])
		case to != "":
			b = append(b, to[min(k, len(to)-1)])
		}
	}
	return string(b)
}

// trSet reads a set of characters as tr does: ranges, escapes, the usual classes.
func trSet(set string) string {
	set = strings.NewReplacer("[:upper:]", "A-Z", "[:lower:]", "a-z", "[:digit:]", "0-9", "[:space:]", " \t\n", "[:alpha:]", "A-Za-z").Replace(ansi(set))
	var b []byte
	for i := 0; i < len(set) && len(b) < 512; i++ {
		if i+2 < len(set) && set[i+1] == '-' && set[i] <= set[i+2] {
			for c := int(set[i]); c <= int(set[i+2]); c++ {
				b = append(b, byte(c))
			}
			i += 2
			continue
		}
		b = append(b, set[i])
	}
	return string(b)
}

func runRev(s *script, c invocation) value {
	s.external(c)
	in, fromFiles := s.filesRead(c)
	if !fromFiles {
		in = c.in
	}
	lines := strings.Split(in.text, "\n")
	for i, l := range lines {
		r := []rune(l)
		slices.Reverse(r)
		lines[i] = string(r)
	}
	out := in.computed(strings.Join(lines, "\n"))
	out.decoded = true
	return out
}

// runDecoder returns what a decoding program prints.
func runDecoder(s *script, c invocation) value {
	s.external(c)
	in, fromFiles := s.filesRead(c)
	if !fromFiles {
		in = c.in
	}
	for _, d := range in.data {
		d.shown = d.shown || isBlob(in.text)
	}
	text, ok := decodeAs(c, in.text, maxDecoded-s.decoded)
	if !ok {
		return value{data: in.data}
	}
	s.decoded += len(text)
	out := in.computed(text)
	out.decoded = true
	return out
}

// isBlob reports whether a text is of one long run of letters, as an encoding is.
func isBlob(text string) bool {
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	for i := range len(text) {
		if !alphabet[text[i]] && text[i] != '\n' {
			return false
		}
	}
	return text != ""
}

// decodeAs decodes a text as the program does with these words.
func decodeAs(c invocation, text string, most int) (string, bool) {
	if len(text) > maxValue {
		return "", false
	}
	has := func(options ...string) bool {
		return slices.ContainsFunc(c.operands(), func(a arg) bool { return slices.Contains(options, a.text) })
	}
	packed := strings.Join(strings.Fields(text), "")
	switch c.name {
	case "base64", "gbase64":
		return decodedIf(hasLetter(c, "dD") || has("--decode"), fromBase64, packed)
	case "base32":
		return decodedIf(hasLetter(c, "d") || has("--decode"), fromBase32, packed)
	case "openssl":
		return decodedIf(has("-d") && has("base64", "-base64", "-a"), fromBase64, packed)
	case "xxd":
		return decodedIf(hasLetter(c, "r"), fromHex, packed)
	case "gunzip", "zcat", "gzcat", "gzip":
		if !isCompressed([]byte(text)) || c.name == "gzip" && !hasLetter(c, "d") && !has("--decompress") {
			return "", false
		}
		b, _ := unpack([]byte(text), min(most, maxValue))
		return string(b), len(b) > 0
	}
	return "", false
}

func decodedIf(wanted bool, decode func(string) ([]byte, bool), text string) (string, bool) {
	if !wanted {
		return "", false
	}
	b, ok := decode(text)
	return string(b), ok
}

// hasLetter reports whether one of a program's short options is one of these letters.
func hasLetter(c invocation, letters string) bool {
	return slices.ContainsFunc(c.operands(), func(a arg) bool {
		return len(a.text) > 1 && a.text[0] == '-' && a.text[1] != '-' && strings.ContainsAny(a.text[1:], letters)
	})
}

// runRead gives the input to the variables that read names.
func runRead(s *script, c invocation) value {
	s.useArgs(c)
	args := c.operands()
	for _, a := range args[skipOptions(args, flags{short: "dnNptuaiCcOs"}):] {
		if isName(a.text) && c.in.text == "" && !c.in.exact {
			s.set(a.text, variable{values: []value{{text: "$" + a.text, data: c.in.data}}})
		} else if isName(a.text) {
			v := c.in
			v.text = strings.TrimRight(v.text, "\n")
			v.segs = v.origin(0, len(v.text))
			s.set(a.text, variable{values: []value{v}})
		}
	}
	if a, ok := option(args, 'a', ""); ok {
		s.set(a.text, variable{values: []value{c.in}, array: true})
	}
	return known("")
}

// runBuiltin follows what the shell does itself and prints nothing.
func runBuiltin(s *script, c invocation) value {
	s.useArgs(c)
	args := c.operands()
	switch {
	case c.name == "unset":
		for _, a := range args {
			delete(s.vars, a.text)
		}
	case c.name == "set" && len(args) > 0 && args[0].text == "--":
		s.params = values(args[1:])
	}
	return known("")
}

// runInterpreter follows an interpreter of another language: what it reads runs if no file is named.
func runInterpreter(s *script, c invocation) value {
	s.useArgs(c)
	s.reach(c)
	args := c.operands()
	for i, a := range args {
		switch {
		case a.text == "-" || a.text == "/dev/stdin":
			s.runs(c.in, c.name)
			s.code(c.in)
			return value{}
		case strings.HasPrefix(a.text, "-"):
			if strings.ContainsAny(a.text[1:], "cemEr") && !strings.HasPrefix(a.text, "--") {
				return value{}
			}
		case c.name == "deno" && a.text == "run", c.name == "bun" && a.text == "run":
		default:
			s.execute(args[i].text)
			use(s.content(a.text))
			return value{}
		}
	}
	s.runs(c.in, c.name)
	s.code(c.in)
	return value{}
}

// code notes text that runs as code of another language.
func (s *script) code(v value) {
	use(v)
	if strings.TrimSpace(v.text) != "" && len(s.codes) < maxScripts {
		s.codes = append(s.codes, v)
	}
}
