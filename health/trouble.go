package health

import (
	"errors"
	"time"

	"tether/health/engines"
	"tether/upstream/load"
	"tether/upstream/transport"
)

// trouble warns once when a server's page does not tell the load of its engines, and says once that it does again. A server that goes back and forth is
// not mentioned again for quietFor.
type trouble struct {
	warn    func(text string)
	fine    time.Time // when a page was last read, or none was wanted
	warned  bool
	quietTo time.Time
}

// quietFor is the time for which a server is not mentioned again after its page is well again.
const quietFor = 10 * time.Minute

// pause notes that no page is wanted at now.
func (t *trouble) pause(now time.Time) { t.fine = now }

// note notes what became of a page that was wanted at now. A page that did not arrive is trouble once the last figures are old.
func (t *trouble) note(err error, now time.Time) {
	switch {
	case err == nil:
		t.fine = now
		if t.warned {
			t.warned, t.quietTo = false, now.Add(quietFor)
			t.warn("its metrics tell the load of its engines again")
		}
	case t.warned, now.Before(t.quietTo):
	case !isUnreadable(err) && !errors.Is(err, engines.ErrIncomplete) && now.Sub(t.fine) <= load.EngineLoadFor:
	default:
		t.warned = true
		t.warn("its metrics do not tell the load of its engines: " + troubleWords(err))
	}
}

// troubleWords says what is wrong, without the address that errors of connections have.
func troubleWords(err error) string {
	var status statusError
	switch {
	case errors.As(err, &status):
		return status.Error() + " to health.metrics_path"
	case errors.Is(err, transport.ErrBodyTooLarge):
		return engines.ErrTooLarge.Error()
	case isUnreadable(err), errors.Is(err, engines.ErrIncomplete):
		return err.Error()
	}
	return "no answer, or not in time"
}
