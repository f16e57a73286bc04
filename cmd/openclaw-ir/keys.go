package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/urfave/cli/v2"
)

// defaultRecipients are the files that name the recipients where none is given: beside the program, then the
// host's own.
func defaultRecipients() []string {
	var names []string
	if exe, err := os.Executable(); err == nil {
		names = append(names, filepath.Join(filepath.Dir(exe), "recipients.txt"))
	}
	return append(names, "/etc/openclaw-ir/recipients.txt")
}

// recipientFlags say who will be able to open a bundle.
func recipientFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "recipient", Aliases: []string{"r"}, Usage: "seal to `RECIPIENT` (age1…, age1pq1…, ssh-ed25519 …, ssh-rsa …)"},
		&cli.StringSliceFlag{Name: "recipients-file", Aliases: []string{"R"}, Usage: "seal to the recipients in `FILE`"},
		&cli.BoolFlag{Name: "passphrase", Aliases: []string{"p"}, Usage: "seal with a passphrase, which is asked for"},
	}
}

// recipients finds who will be able to open the bundle. Without any it asks for a passphrase, as age does; where
// nobody can be asked it refuses, for a bundle is never written in clear.
func recipients(c *cli.Context, e env) ([]collect.Recipient, error) {
	list, err := givenRecipients(c)
	if err != nil {
		return nil, err
	}
	if c.Bool("passphrase") {
		if len(list) > 0 {
			return nil, usageError("give either -p or -r and -R", "a passphrase must be the only recipient")
		}
		return askPassphrase(c, e)
	}
	if len(list) == 0 {
		if list, err = recipientsFromDefaults(e); err != nil {
			return nil, err
		}
	}
	if len(list) == 0 {
		return askPassphrase(c, e)
	}
	if err := collect.CheckRecipients(list); err != nil {
		return nil, &codeError{exitUsage, err, nil}
	}
	return list, nil
}

func givenRecipients(c *cli.Context) (list []collect.Recipient, err error) {
	for _, s := range c.StringSlice("recipient") {
		r, err := collect.ParseRecipient(s, "-r")
		if err != nil {
			return nil, &codeError{exitUsage, err, []string{"a recipient reads age1…, age1pq1…, ssh-ed25519 … or ssh-rsa …"}}
		}
		list = append(list, r)
	}
	for _, name := range c.StringSlice("recipients-file") {
		if err := checkWritten(name); err != nil {
			return nil, err
		}
		more, err := readRecipients(name)
		if err != nil {
			return nil, &codeError{exitUsage, err, []string{"a recipients file holds one age1…, age1pq1… or ssh-… key a line"}}
		}
		list = append(list, more...)
	}
	return list, nil
}

// checkWritten refuses a file that every user of the host can write: whoever is named in it can read the evidence. Whose it is, is for
// who names it to know.
func checkWritten(name string) error {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o002 != 0 {
		return usageError("chmod o-w "+console.ShellWord(name)+", after reading it; or name the recipients with -r",
			"%q can be written by everybody, so it may not say who reads the evidence", name)
	}
	return nil
}

func readRecipients(name string) ([]collect.Recipient, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the recipients file: %w", err)
	}
	defer f.Close()
	if named, err := host.NamedWriter(f); err != nil {
		return nil, err
	} else if named {
		return nil, usageError("setfacl -b "+console.ShellWord(name)+", after reading it; or name the recipients with -r",
			"%q has an access control list that lets others write to it, so it may not say who reads the evidence", name)
	}
	return collect.ParseRecipients(f, name)
}

// recipientsFromDefaults reads the first default file there is, and says which.
func recipientsFromDefaults(e env) ([]collect.Recipient, error) {
	name, list, err := defaultRecipientsOf(e)
	if err == nil && name != "" {
		e.console.Printf("recipients from %q", name)
	}
	return list, err
}

// defaultRecipientsOf reads the first default file there is; name is "" if there is none. Root takes it only if root alone can write
// it, and whatever leads to it: the agent's user must not choose who can read the evidence.
func defaultRecipientsOf(e env) (name string, list []collect.Recipient, err error) {
	for _, name := range defaultRecipients() {
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			continue
		}
		var err error
		if e.uid == 0 {
			err = host.RootsOwn(name)
		}
		if errors.Is(err, host.ErrNotTrusted) {
			return name, nil, usageError("sudo chown root: "+console.ShellWord(name)+" && sudo chmod 644 "+console.ShellWord(name)+", after reading it, in a directory of root's; or name the recipients with -r or -R",
				"%q can be written by others than root, so it may not say who reads the evidence: %v", name, err)
		}
		if err != nil {
			return name, nil, fmt.Errorf("opening the recipients file: %w", err)
		}
		list, err := readRecipients(name)
		return name, list, err
	}
	return "", nil, nil
}

// asked is what was asked for in a guided run, which asks for it once.
type asked struct{ passphrase []collect.Recipient }

func askPassphrase(c *cli.Context, e env) ([]collect.Recipient, error) {
	if e.asked != nil && e.asked.passphrase != nil {
		e.console.Printf("sealed with the same passphrase as before")
		return e.asked.passphrase, nil
	}
	if e.console.Tell(c.Context) == nil {
		explainKeys(e)
	}
	p, err := e.console.NewPassphrase(c.Context, "the bundle")
	if errors.Is(err, console.ErrNoTerminal) {
		return nil, usageError("openclaw-ir collect -R recipients.txt, or -r age1…; put the file at /etc/openclaw-ir/recipients.txt for next time",
			"no recipient given, and there is no terminal to ask for a passphrase; a bundle is never written in clear")
	}
	if err != nil {
		return nil, err
	}
	r, err := collect.PassphraseRecipient(p)
	if err == nil && e.asked != nil {
		e.asked.passphrase = []collect.Recipient{r}
	}
	return []collect.Recipient{r}, err
}

// explainKeys says what a passphrase is asked for, to someone who has never heard of age.
func explainKeys(e env) {
	e.console.Printf("the evidence holds your secrets, so it is encrypted: -r age1… names the public key of whoever is to read it, which age-keygen " +
		"makes on a machine that is not in trouble. Without one, a passphrase does: whoever knows it can read the evidence")
}
