package auth

import (
	"context"
	"time"

	"tether/files"
)

// lookEvery is how often the file is looked at.
const lookEvery = time.Second

// Run takes in what is written to the file until ctx ends. changed is told of each new content: why it is not taken and
// the keys before stay in force, or nil.
func (k *Keys) Run(ctx context.Context, changed func(error)) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		text, err := k.read()
		if k.changes.New(files.LookAt(err, text)) {
			changed(k.take(text, err))
		}
	}
}
