//go:build !linux

package host

import "errors"

func exchange(int, string, string) error { return errors.ErrUnsupported }

func nameNew(dir int, from, to string) error { return linkNew(dir, from, to) }
