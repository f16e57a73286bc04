package collect

import (
	"fmt"
	"strings"
)

// sumEscapes are the escapes of coreutils' sha256sum, which marks a line that has any with a backslash.
var (
	sumEscaper   = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)
	sumUnescaper = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r")
)

// appendSum appends the line of SHA256SUMS for a row, or nothing if it has no regular file in the archive.
func appendSum(dst []byte, row Row) []byte {
	name, err := row.memberName()
	if err != nil || row.At == 0 || row.Type != File {
		return dst
	}
	escaped := sumEscaper.Replace(name)
	if escaped != name {
		dst = append(dst, '\\')
	}
	return fmt.Appendf(dst, "%s  %s\n", row.StoredDigest(), escaped)
}

// parseSum reads one line of SHA256SUMS, without its newline.
func parseSum(line string) (name, digest string, err error) {
	rest, escaped := strings.CutPrefix(line, `\`)
	digest, name, found := strings.Cut(rest, "  ")
	if !found || !isDigest(digest, true) || name == "" {
		return "", "", fmt.Errorf("%w: line %.80q of %s", ErrMalformed, line, memberSums)
	}
	if escaped {
		name = sumUnescaper.Replace(name)
	}
	return name, digest, nil
}
