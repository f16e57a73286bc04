package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/collect/store"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/notify"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/urfave/cli/v2"
)

func notifyFlag(verb string) cli.Flag {
	const whom = " `WHOM` of alarms and failures: a program with its arguments, https://…, or @FILE with such an address in it"
	return &cli.StringFlag{Name: "notify", Usage: verb + whom}
}

// notifyTarget is who --notify says is to be told; nobody without. Root reads a file with an address only if root alone can write it.
func notifyTarget(c *cli.Context, e env) (notify.Target, error) {
	if !c.IsSet("notify") {
		return notify.Target{}, nil
	}
	text := c.String("notify")
	t, err := notify.Parse(text)
	if err == nil && text[0] == '@' {
		err = e.rootsOwn(text[1:])
	}
	if err != nil {
		return t, usageError("--notify /usr/local/sbin/page-me, or --notify @FILE with an https:// address in it", "--notify: %v", err)
	}
	return t, nil
}

// rootsOwn refuses a file that decides what root does, and that others than root can write. It asks that of root alone.
func (e env) rootsOwn(file string) error {
	if e.uid != 0 {
		return nil
	}
	root, err := e.openHost("/")
	if err != nil {
		return err
	}
	defer root.Close()
	_, err = host.RootOnly(root, file)
	return err
}

// A notice is what is told of a snapshot that went wrong, or found something. Chat services show its text.
type notice struct {
	Version int             `json:"version"`
	Text    string          `json:"text"`
	Host    string          `json:"host"`
	Case    string          `json:"case"`
	Time    time.Time       `json:"time"`
	Exit    int             `json:"exit"`
	Error   string          `json:"error"`
	Bundle  string          `json:"bundle,omitempty"`
	Chain   string          `json:"chain,omitempty"`
	Number  int             `json:"number,omitempty"`
	Seal    string          `json:"seal_sha256,omitempty"`
	Alarms  []collect.Alarm `json:"alarms"`
	InAll   int             `json:"alarms_in_all"`
	Owed    int             `json:"owed"` // files that no store has yet
}

// maxNoticed is how many alarms are told.
const maxNoticed = 20

// thenNotify tells whom --notify names of alarms, of a snapshot that failed, and of one that a store did not take. The run ends as badly
// as what it did before, said, if that did not end well.
func (x *collection) thenNotify(said error) error {
	t, err := notifyTarget(x.c, x.env) // was checked
	if err != nil || t.IsZero() || said == nil {
		return said
	}
	n := x.notice(said)
	if len(n.Alarms) == 0 && n.Owed == 0 && !isFailure(x.ctx, said) {
		return said
	}
	message, err := console.JSON(n, "")
	if err == nil {
		err = t.Send(context.WithoutCancel(x.ctx), x.runner, message)
	}
	if err != nil {
		x.console.Warningf("nobody was told: --notify: %v", err)
		return said
	}
	x.console.Printf("told %s", t)
	return said
}

func (x *collection) notice(said error) notice {
	n := notice{
		Version: console.Version, Host: x.host, Case: x.c.String("case"), Time: time.Now().UTC(), Exit: exitCode(x.ctx, said), Error: said.Error(),
		Alarms: []collect.Alarm{},
	}
	if n.Host == "" {
		n.Host, _ = os.Hostname()
	}
	secrets := secret.NewSet(secret.NewFingerprinter(x.salt))
	if s := x.made; s != nil {
		n.Bundle, n.Chain, n.Number, n.Seal, n.InAll = s.Bundle, s.Link.Chain, s.Link.Number, s.SealSHA256, len(s.Outcome.Alarms)
		for _, a := range s.Outcome.Alarms[:min(n.InAll, maxNoticed)] {
			a.Path, a.Detail = secrets.Redact(a.Path), secrets.Redact(a.Detail)
			n.Alarms = append(n.Alarms, a)
		}
	}
	n.Owed = x.owed
	n.Error = secrets.Redact(n.Error)
	n.Text = "openclaw-ir on " + n.Host + ": snapshot: " + forChat(n.Error)
	if len(n.Alarms) > 0 {
		n.Text += "; " + n.Alarms[0].Kind + ": " + forChat(n.Alarms[0].Path)
	}
	return n
}

// chatMarks are what chat services make mentions, links and markup of, and what stands for it.
var chatMarks = strings.NewReplacer("<", "‹", ">", "›", "@", "(at)", "&", "+", "://", "[:]//", "www.", "www[.]", "WWW.", "WWW[.]", "`", "'", "*", "·", "|", "¦")

// forChat is a text that may hold a name of the intruder's, as a chat service can show it.
func forChat(s string) string { return chatMarks.Replace(console.Escape(s)) }

// spared are the bundles that --keep leaves alone, whatever their age: those that a store is still to get.
func spared(cs *casefile.Case) (func(bundle string) bool, error) {
	owed, err := store.ListOwed(cs)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, f := range owed {
		names[f.Name] = true
	}
	return func(bundle string) bool { return names[bundle] || names[bundle+collect.SealSuffix] }, nil
}
