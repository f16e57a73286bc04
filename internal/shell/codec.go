package shell

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// minPrintable is how many of a hundred characters are printable in what counts as a text.
const minPrintable = 80

// quickLook is how many letters of a run are decoded to see whether the rest is worth it.
const quickLook = 32

// decodeRun returns the text that a run encodes and the name of its encoding, or "" if it is none of at most so many bytes.
func decodeRun(s string, kind runKind, most int) (text, encoding string) {
	switch kind {
	case percents:
		return asText(unescape(s, '%', 1), "percent", most)
	case escapes:
		return asText(unescape(s, '\\', 2), "escape", most)
	}
	if strings.ContainsAny(s, "\n\\") {
		s = unwrapped.Replace(s)
	}
	if b, ok := fromHex(s); ok {
		return asText(b, "hex", most)
	}
	if text, encoding = decodeBase64(s, most); text != "" {
		return text, encoding
	}
	if b, ok := fromBase32(s); ok {
		return asText(b, "base32", most)
	}
	return "", ""
}

// unwrapped removes line breaks, also those escaped for JSON.
var unwrapped = strings.NewReplacer("\n", "", "\r", "", `\n`, "", `\r`, "")

// standard turns base64's URL alphabet into the standard one.
var standard = strings.NewReplacer("-", "+", "_", "/")

// decodeBase64 tries the run from its start and, since a path or a name may stand right before it, from each of the three
// next letters and after its first slashes.
func decodeBase64(s string, most int) (text, encoding string) {
	for k := range 4 {
		if text, encoding = base64At(s, k, most); text != "" {
			return text, encoding
		}
	}
	for i, tries := 4, 0; i < len(s)-minEncoded && tries < 4; i++ {
		if s[i-1] != '/' {
			continue
		}
		tries++
		if text, encoding = base64At(s, i, most); text != "" {
			return text, encoding
		}
	}
	return "", ""
}

func base64At(s string, start, most int) (text, encoding string) {
	if !looksLikeText(s[start:min(len(s), start+quickLook)]) {
		return "", ""
	}
	b, ok := fromBase64(s[start:])
	if !ok {
		return "", ""
	}
	return asText(b, "base64", most)
}

// looksLikeText reports whether the first letters of a base64 text allow that it is text, or something compressed.
func looksLikeText(s string) bool {
	var b [quickLook]byte
	n := 0
	for i := 0; i+3 < len(s); i += 4 {
		v := uint32(sextet[s[i]])<<18 | uint32(sextet[s[i+1]])<<12 | uint32(sextet[s[i+2]])<<6 | uint32(sextet[s[i+3]])
		b[n], b[n+1], b[n+2] = byte(v>>16), byte(v>>8), byte(v)
		n += 3
	}
	good, zeros := 0, 0
	for i, c := range b[:n] {
		switch {
		case c == 0 && i%2 == 1:
			zeros++
		case isText[c]:
			good++
		case c >= 0x80 && c < 0xc0 && i > 0 && b[i-1] >= 0xc2:
			good += 2 // the byte before leads it
		case c >= 0x80 && c < 0xc0 && i > 0 && b[i-1] >= 0x80:
			good++
		}
	}
	return n > 0 && (isCompressed(b[:n]) || (good+zeros)*100 >= n*(minPrintable-10))
}

// sextet is the value of each letter of base64, in either alphabet.
var sextet = sextets("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "-_")

func sextets(letters, others string) *[256]byte {
	var t [256]byte
	for i := range len(letters) {
		t[letters[i]] = byte(i)
	}
	t[others[0]], t[others[1]] = 62, 63
	return &t
}

// fromBase64 decodes either alphabet of base64, with padding or without. A last incomplete group is dropped.
func fromBase64(s string) ([]byte, bool) {
	s = strings.TrimRight(s, "=")
	if len(s)%4 == 1 {
		s = s[:len(s)-1]
	}
	if strings.ContainsAny(s, "-_") {
		s = standard.Replace(s)
	}
	b, err := base64.RawStdEncoding.DecodeString(s)
	return b, err == nil && len(b) > 0
}

func fromBase32(s string) ([]byte, bool) {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '2' || c > '7') {
			return nil, false
		}
	}
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(s))
	return b, err == nil && len(b) > 0
}

func fromHex(s string) ([]byte, bool) {
	for i := range len(s) {
		if !isHex(s[i]) {
			return nil, false
		}
	}
	b, err := hex.DecodeString(s)
	return b, err == nil && len(b) > 0
}

// unescape replaces the escapes of two hexadecimal digits that begin with mark and are so many bytes longer than those.
func unescape(s string, mark byte, prefix int) []byte {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if at := i + prefix; s[i] == mark && at+1 < len(s) && isHex(s[at]) && isHex(s[at+1]) {
			b = append(b, hexDigit(s[at])<<4|hexDigit(s[at+1]))
			i = at + 1
			continue
		}
		b = append(b, s[i])
	}
	return b
}

func hexDigit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

func isCompressed(b []byte) bool {
	return len(b) > 2 && (b[0] == 0x1f && b[1] == 0x8b || b[0] == 0x78 && (b[1] == 0x01 || b[1] == 0x9c || b[1] == 0xda))
}

// asText returns decoded bytes as text, unpacked if they are compressed and from UTF-16 if they are that.
func asText(b []byte, encoding string, most int) (text, name string) {
	if isCompressed(b) {
		var packed string
		b, packed = unpack(b, most)
		encoding += "+" + packed
	}
	if s := utf16Text(b); s != "" {
		return atMost(s, encoding+"+utf16", most)
	}
	if s := string(b); isPrintable(s, minPrintable) {
		return atMost(s, encoding, most)
	}
	return "", ""
}

func atMost(s, encoding string, most int) (text, name string) {
	if len(s) > most {
		return "", ""
	}
	return s, encoding
}

// unpack returns the first bytes of what gzip or zlib has packed.
func unpack(b []byte, most int) ([]byte, string) {
	var r io.Reader
	var err error
	name := "gzip"
	if b[0] == 0x78 {
		name = "zlib"
		r, err = zlib.NewReader(bytes.NewReader(b))
	} else {
		r, err = gzip.NewReader(bytes.NewReader(b))
	}
	if err != nil {
		return nil, name
	}
	out, _ := io.ReadAll(io.LimitReader(r, int64(most)))
	return out, name
}

// utf16Text returns b as text if it is ASCII in little-endian UTF-16, as PowerShell encodes commands.
func utf16Text(b []byte) string {
	if len(b) < 8 || b[1] != 0 && b[3] != 0 {
		return ""
	}
	units := make([]uint16, 0, len(b)/2)
	zeros := 0
	for i := 0; i+1 < len(b); i += 2 {
		if b[i+1] == 0 {
			zeros++
		}
		units = append(units, uint16(b[i])|uint16(b[i+1])<<8)
	}
	if zeros*10 < len(units)*8 {
		return ""
	}
	if s := string(utf16.Decode(units)); isPrintable(s, minPrintable) {
		return s
	}
	return ""
}

// isPrintable reports whether so many percent of the characters of s are printable.
func isPrintable(s string, percent int) bool {
	good, all := 0, 0
	most := len(s) * (100 - percent) / 100 // so many others at most, even if each is of one byte
	for i := 0; i < len(s); {
		size, ok := 1, isText[s[i]]
		if s[i] >= utf8.RuneSelf {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			ok = (r != utf8.RuneError || size > 1) && unicode.IsPrint(r)
		}
		i += size
		all++
		if ok {
			good++
		} else if all-good > most {
			return false
		}
	}
	return all > 0 && good*100 >= all*percent
}

// isText marks the printable characters of ASCII and those that lay text out.
var isText = marks("\t\n\r !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~")
