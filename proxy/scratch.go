package proxy

import (
	"sync"

	"tether/session/identity"
)

// scratch is what an exchange works with until the head of the answer has left: 3 KB, and the buffers of three heads. An exchange keeps it
// for the next request. Streams give it back, because a stream lives long after its head.
type scratch struct {
	in      inbound
	search  identity.Search
	session identity.Identity
	request []byte // the head to an upstream
	reply   []byte // the head to the client
}

// headSize is the size of a new buffer for a head. The buffers grow with the heads.
const headSize = 4 << 10

var scratches = sync.Pool{New: func() any {
	return &scratch{request: make([]byte, 0, headSize), reply: make([]byte, 0, headSize)}
}}

// borrowScratch gives x its scratch, unless it has one.
func borrowScratch(x *exchange) {
	if x.scratch != nil {
		return
	}
	s := scratches.Get().(*scratch)
	x.scratch = s
	x.req.in, x.caller.search, x.caller.session = &s.in, &s.search, &s.session
	x.attempt.head, x.reply = s.request, s.reply
	x.caller.identifier = nil // so that the search learns of it
}

// giveScratchBack gives the scratch of x back. No id outlives its request in it. The Record has what is left to tell.
func giveScratchBack(x *exchange) {
	describe(x)
	x.req.in.reset()
	x.caller.forget()
	s := x.scratch
	s.request, s.reply = emptied(x.attempt.head), emptied(x.reply)
	x.scratch, x.req.in, x.caller.search, x.caller.session, x.attempt.head, x.reply = nil, nil, nil, nil, nil, nil
	scratches.Put(s)
}

func emptied(b []byte) []byte {
	clear(b[:cap(b)])
	return b[:0]
}
