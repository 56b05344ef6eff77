package proxy

// observers are shown the payload of an answer part by part, before the client gets it. They copy the little that they need, and hold
// nothing up. Their own files have their tests.
type observers struct {
	usage      usage
	stored     storedScan
	generation generation

	// learned is called with the id of the stored response that the answer is. The id is valid until learned returns.
	learned func(id []byte)

	show func(p []byte) // see, made once
}

func (o *observers) see(p []byte) {
	o.usage.see(p)
	o.generation.see(p)
	if id := o.stored.see(p); id != nil {
		o.learned(id)
	}
}

// reset forgets the answer.
func (o *observers) reset() { o.usage, o.stored, o.generation = usage{}, storedScan{}, generation{} }
