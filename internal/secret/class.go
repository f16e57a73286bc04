package secret

// class is a set of bytes.
type class [256]bool

// classOf returns the class of the bytes in chars, in which "a-z" is a range.
func classOf(chars string) *class {
	var c class
	for i := 0; i < len(chars); i++ {
		if i+2 < len(chars) && chars[i+1] == '-' {
			for b := int(chars[i]); b <= int(chars[i+2]); b++ {
				c[b] = true
			}
			i += 2
			continue
		}
		c[chars[i]] = true
	}
	return &c
}

var (
	digits     = classOf("0-9")
	upper      = classOf("A-Z")
	lower      = classOf("a-z")
	upperNum   = classOf("A-Z0-9")
	alnum      = classOf("A-Za-z0-9")
	lowerHex   = classOf("0-9a-f")
	hexDigits  = classOf("0-9a-fA-F")
	wordChars  = classOf("A-Za-z0-9_-")
	base64Std  = classOf("A-Za-z0-9+/")
	pemChars   = classOf("A-Za-z0-9+/=")
	dumpChars  = classOf("A-Za-z0-9+/=_-")
	tokenChars = classOf("A-Za-z0-9._~+/=-")
	jwtChars   = classOf("A-Za-z0-9_.-")
	keyChars   = classOf("A-Za-z0-9_.-")
	blank      = classOf(" \t")
	space      = classOf(" \t\r\n\v\f")
	quotes     = classOf("\"'`")
)

// run counts the bytes of the class that text starts with, most at the most.
func (c *class) run(text string, most int) int {
	n := 0
	for n < len(text) && n < most && c[text[n]] {
		n++
	}
	return n
}

// back returns where the bytes of the class that end at end start, not before least.
func (c *class) back(text string, end, least int) int {
	for end > least && c[text[end-1]] {
		end--
	}
	return end
}

// all reports whether text is made of the class alone.
func (c *class) all(text string) bool { return c.run(text, len(text)) == len(text) }

// any reports whether text has a byte of the class.
func (c *class) any(text string) bool {
	for i := range len(text) {
		if c[text[i]] {
			return true
		}
	}
	return false
}
