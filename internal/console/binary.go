package console

import (
	"errors"
	"io"
)

// ErrBinary is returned when binary output would go to a terminal.
var ErrBinary = errors.New("refusing to write binary to a terminal")

// BinaryOut returns standard output for bytes that are not text. On a terminal
// it returns ErrBinary, unless the user insisted (-o -).
func (c *Console) BinaryOut(insist bool) (io.Writer, error) {
	if c.facts.OutTerminal && !insist {
		return nil, ErrBinary
	}
	return out{c: c, binary: true}, nil
}
