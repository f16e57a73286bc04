package analyze

import (
	"context"
	"io/fs"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

func (r *Report) ledgers(ctx context.Context, fsys fs.FS, in *openclaw.Installation, j *joiner) []*Event {
	return nil
}
