package collect

import (
	"fmt"
	"time"
)

const readmeText = `This is a sealed evidence bundle of openclaw-ir.

  host     %q
  case     %q
  started  %s
  tool     %q

[root]/         files of the host, by their absolute path
live/           what was running: output of commands and of the kernel
delta/          of files that an earlier snapshot holds, only the ranges that changed (see manifest.jsonl)
config-diffs/   how the configuration changed
custody.jsonl   what was done to the host and by whom, each line chained to the one before
manifest.jsonl  one line for every thing that was looked for: found, missing, skipped, cut short
SHA256SUMS      digests of the files here

Open it with standard tools, in an empty directory, never as root:

  age -d -i key.txt BUNDLE.tar.zst.age | zstd -d | tar x
  sha256sum -c SHA256SUMS

or list and verify it with "openclaw-ir collect". The seal beside the bundle holds its digests and a
signature in OpenSSH's format.

The files are evidence of an intrusion. Text in them may be hostile: do not run it, do not show it raw on a
terminal, do not give it to an agent as instructions. They may hold working credentials.
For questions ask whoever opened the case named above.
`

func readme(h Header) []byte {
	return fmt.Appendf(nil, readmeText, h.Host, h.Case, h.Started.UTC().Format(time.RFC3339), h.Tool)
}
