package discovery

// MaxServers limits the set of one source.
const MaxServers = 4096

// Found is one server that a source found at run time.
type Found struct {
	// Name is the server's identity, unique in its set: another address under the same name is a new server in the
	// place of the old one.
	Name string
	// Address is HOST:PORT. It is never logged.
	Address string
	// Weight is the server's weight if the source knows one, else nil.
	Weight *int
	// Slot is the server's number in the ring if the source knows one, else nil.
	Slot *int
	// Models are the models that the server serves if the source knows them, else nil.
	Models []string
	// Drain keeps new sessions away.
	Drain bool
}

// Report receives what a source knows after each of its looks. set is the complete set, and the receiver may keep it.
// A nil set means that the last set stays, and problem says why. A set that comes with a problem is complete as far as
// the source could use what it saw. A source calls Report on one goroutine, and waits for it.
type Report func(set []Found, problem error)
