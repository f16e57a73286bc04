package console

import "context"

// Question asks for one line of text. Interrupting the question returns [context.Canceled].
func (c *Console) Question(ctx context.Context, question string) (answer string, err error) {
	err = c.ask(ctx, func(t *terminal) (err error) {
		answer, err = t.line(question + " ")
		return err
	})
	return answer, err
}
