package proxy

// observers are shown the payload of an answer part by part, before the client gets it. They copy the little that they need, and hold
// nothing up. Their own files have their tests.
type observers struct {
	usage  usage
	stored *storedScan // nil unless an id is looked for
	events events

	// learned is called with the id of the stored response that the answer is. The id is valid until learned returns.
	learned func(id []byte)

	show func(p []byte) // see, made once
}

func (o *observers) see(p []byte) {
	o.usage.see(p)
	o.events.see(p)
	if s := o.stored; s != nil {
		id := s.see(p)
		if s.step == scanOver {
			o.stored = nil
		}
		if id != nil {
			o.learned(id)
		}
	}
}

// reset forgets the answer.
func (o *observers) reset() { o.usage, o.stored, o.events = usage{}, nil, events{} }
