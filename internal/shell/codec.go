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
	s = strings.NewReplacer("\n", "", "\r", "", `\n`, "", `\r`, "").Replace(s)
	if b, ok := fromHex(s); ok {
		if text, encoding = asText(b, "hex", most); text != "" {
			return text, encoding
		}
	}
	if text, encoding = decodeBase64(s, most); text != "" {
		return text, encoding
	}
	if b, ok := fromBase32(s); ok {
		return asText(b, "base32", most)
	}
	return "", ""
}

// decodeBase64 tries the run from its start and, since a path or a name may stand right before it, from each of the three
// next letters and after its first slashes.
func decodeBase64(s string, most int) (text, encoding string) {
	for _, start := range base64Starts(s) {
		if b, ok := fromBase64(s[start:min(len(s), start+quickLook)]); !ok || !mayBeText(b) {
			continue
		}
		if b, ok := fromBase64(s[start:]); ok {
			if text, encoding = asText(b, "base64", most); text != "" {
				return text, encoding
			}
		}
	}
	return "", ""
}

func base64Starts(s string) []int {
	starts := []int{0, 1, 2, 3}
	for i := 0; i < len(s)-minEncoded && len(starts) < 8; i++ {
		if s[i] == '/' && i >= 3 {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// fromBase64 decodes either alphabet of base64, with padding or without. A last incomplete group is dropped.
func fromBase64(s string) ([]byte, bool) {
	s = strings.TrimRight(s, "=")
	if len(s)%4 == 1 {
		s = s[:len(s)-1]
	}
	s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	b, err := base64.RawStdEncoding.DecodeString(s)
	return b, err == nil && len(b) > 0
}

func fromBase32(s string) ([]byte, bool) {
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.TrimRight(s, "=")))
	return b, err == nil && len(b) > 0
}

func fromHex(s string) ([]byte, bool) {
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

// mayBeText reports whether the first bytes of a decoded text allow that it is one, or is compressed.
func mayBeText(b []byte) bool {
	return isCompressed(b) || utf16Text(b) != "" || isPrintable(string(b), minPrintable/2)
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
	if len(b) < 8 {
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
	for _, r := range s {
		all++
		if r == '\n' || r == '\t' || r == '\r' || r != utf8.RuneError && unicode.IsPrint(r) {
			good++
		}
	}
	return all > 0 && good*100 >= all*percent
}
