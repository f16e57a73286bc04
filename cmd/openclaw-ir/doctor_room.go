package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/rotate"
)

// caseDir says whether a case can be kept.
func (d *doctor) caseDir() {
	dir := casesDir(d.c, d.env)
	_, err := casefile.CheckDir(dir)
	hint := "free the way, or name another directory with --case-dir"
	if errors.Is(err, casefile.ErrUnsafe) {
		hint = "look at its owner and mode and at what lies in it, or name another directory with --case-dir"
	}
	d.check(err, "directory of the cases", dir+", written by nobody else", hint)
	infos, err := casefile.List(dir)
	if err != nil {
		return // said already
	}
	for _, info := range infos {
		switch {
		case info.Problem != "":
			d.say(missing, "a case", fmt.Sprintf("%q: %s", info.Name, info.Problem), "look at it before you go on in it")
		case info.State == casefile.StateOpen:
			d.say(fine, "open case", info.Name, "")
		}
	}
}

// enoughMemory is what sealing a bundle takes at most, in bytes, with room for the machine to go on (its resident memory was
// measured at about 100 MB).
const enoughMemory = 256 << 20

// room says whether a bundle of everything finds a place.
func (d *doctor) room() {
	d.memory()
	there, err := casefile.CheckDir(casesDir(d.c, d.env))
	if there == "" {
		d.say(missing, "disk", err.Error(), "name another directory with --case-dir")
		return
	}
	free, err := host.FreeDisk(there)
	if err != nil {
		d.say(missing, "disk", err.Error(), "")
		return
	}
	bar := d.console.Progress(console.Bytes)
	bar.Start("measuring what a collection takes", 0)
	sizes, outcome := collect.Estimate(d.ctx, d.machine.Root, d.installs, collect.Options{Progress: func(_ string, n int64) { bar.Add(n) }})
	bar.Done()
	need := total(sizes).Bytes
	detail := fmt.Sprintf("%s free in %s; a collection takes %s before compression", console.Size(free), there, console.Size(need))
	if outcome.Partial() {
		detail += ", and what could not be looked at"
	}
	if free < need {
		d.say(missing, "disk", detail, "openclaw-ir collect -o - | ssh responder 'cat > B.tar.zst.age' needs none here")
		return
	}
	d.say(fine, "disk", detail, "")
}

func (d *doctor) memory() {
	free, err := host.FreeMemory(d.machine.Root)
	switch {
	case d.machine.Mac:
		d.say(unasked, "memory", "macOS makes room where there is none", "")
	case err != nil:
		d.say(missing, "memory", err.Error(), "")
	case free < enoughMemory:
		d.say(missing, "memory", fmt.Sprintf("%s free, and sealing a bundle takes up to %s", console.Size(free), console.Size(enoughMemory)),
			"openclaw-ir contain first: what it stops gives its memory back")
	default:
		d.say(fine, "memory", console.Size(free)+" free", "")
	}
}

// keys says who would be able to open a bundle.
func (d *doctor) keys() {
	name, list, err := defaultRecipientsOf(d.env)
	if err == nil && len(list) > 0 {
		err = collect.CheckRecipients(list)
	}
	switch {
	case err != nil:
		d.say(missing, "recipients", err.Error(), firstHint(err, "one age1… or ssh-ed25519 … key a line, written by root alone"))
	case len(list) == 0:
		d.say(missing, "recipients", "no file names who may open a bundle: collect asks for a passphrase, and contain --yes cannot seal anything",
			"age-keygen on the responder's machine, and the age1… line it prints into /etc/openclaw-ir/recipients.txt here")
	default:
		d.say(fine, "recipients", fmt.Sprintf("%s in %s", plural(len(list), "key"), name), "")
	}
}

func firstHint(err error, otherwise string) string {
	var ce *codeError
	if errors.As(err, &ce) && len(ce.hints) > 0 {
		return ce.hints[0]
	}
	return otherwise
}

// clock says what the times in the evidence will be worth.
func (d *doctor) clock() {
	clock := host.ReadClock()
	now := clock.Now.Format(time.RFC3339)
	switch {
	case clock.Now.Before(programTime()):
		d.say(missing, "clock", now+" is before this program was written", "note the right time beside it, and set it when the case is over: timedatectl")
	case clock.Err != "":
		d.say(unasked, "clock", now+"; whether it is right is "+clock.Err, "compare it with a clock you trust")
	case !clock.Synchronized:
		d.say(missing, "clock", now+", not synchronised: the times of the evidence may be off",
			"compare it with a clock you trust, note the difference, and sudo timedatectl set-ntp true before an incident")
	default:
		d.say(fine, "clock", fmt.Sprintf("%s, synchronised within %s", now, console.Duration(clock.MaxError)), "")
	}
}

// programTime is when this program's file was written, the zero time if that is not known.
func programTime() time.Time {
	name, err := os.Executable()
	if err != nil {
		return time.Time{}
	}
	info, err := os.Stat(name)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// proof says whether rotate can show that the old token of an installation is refused without starting it.
func (d *doctor) proof(in *openclaw.Installation) {
	const what = "a private gateway for rotate"
	switch {
	case d.machine.Mac || d.uid != 0:
		d.say(unasked, what, "root on Linux alone can run one", "when the gateway runs again: openclaw-ir rotate verify")
	default:
		d.check(rotate.CanProve(d.machine.Root, in), what, "its Node.js and package are root's", "when the gateway runs again: openclaw-ir rotate verify")
	}
}
