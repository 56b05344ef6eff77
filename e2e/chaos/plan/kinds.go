package plan

import "time"

// Kind is a kind of fault.
type Kind string

// Faults of a server's process.
const (
	Kill      Kind = "kill"      // SIGKILL; started again later
	Terminate Kind = "terminate" // SIGTERM: vLLM's shutdown answers; started again once it has ended
	Freeze    Kind = "freeze"    // SIGSTOP, SIGCONT
)

// Faults that the simulated server has by itself.
const (
	Hang       Kind = "hang"        // requests get no answer until the fault is over
	HangHealth Kind = "hang-health" // health checks get none
	Flap       Kind = "flap"        // health is bad and good in turn
	Reset      Kind = "reset"       // a reset before the head
	Close      Kind = "close"       // an end before the head
	CutBetween Kind = "cut-between" // an end between two chunks
	CutInside  Kind = "cut-inside"  // an end within a chunk
	CutReset   Kind = "cut-rst"     // a reset between two chunks
	Stall      Kind = "stall"       // silence within an answer
	BadHead    Kind = "bad-head"    // a malformed head
	Status500  Kind = "500"
	Status503  Kind = "503"
	Slow       Kind = "slow"          // heads are late
	Shutdown   Kind = "shutdown-text" // vLLM's shutdown answer, from a server that stays
	QueueFull  Kind = "queue-full"    // vLLM's admission control refuses
)

// Changes that operators make to one server.
const (
	Drain     Kind = "drain"
	DrainHard Kind = "drain-hard"
	Remove    Kind = "remove" // from the list of discovery, and back
)

// Faults and changes of tether itself.
const (
	Reload      Kind = "reload"      // another configuration, and SIGHUP
	Restart     Kind = "restart"     // SIGTERM, and a new process that reads the snapshot
	Handover    Kind = "handover"    // a new process takes over
	Descriptors Kind = "descriptors" // no further descriptor is free
	Logs        Kind = "logs"        // the readers of both logs stop reading
)

// trait is what the plan knows of a kind.
type trait struct {
	ofTether  bool
	renewal   bool          // it replaces tether's process
	least     time.Duration // of the fault
	most      time.Duration
	recovery  time.Duration // until another fault may follow at the same place
	times     int           // the most requests that are struck; 0: all
	arguments []string
}

const second = time.Second

var traits = map[Kind]trait{
	Kill:      {least: second, most: 4 * second, recovery: 5 * second},
	Terminate: {least: second, most: 2 * second, recovery: 12 * second},
	Freeze:    {least: second, most: 9 * second, recovery: 4 * second},

	Hang:       {least: 2 * second, most: 14 * second, recovery: 4 * second},
	HangHealth: {least: 3 * second, most: 6 * second, recovery: 4 * second},
	Flap:       {least: 4 * second, most: 6 * second, recovery: 4 * second},
	Reset:      {least: 2 * second, most: 4 * second, recovery: 2 * second, times: 20},
	Close:      {least: 2 * second, most: 4 * second, recovery: 2 * second, times: 20},
	CutBetween: {least: 2 * second, most: 4 * second, recovery: second, times: 20, arguments: []string{"0", "1", "3", "8"}},
	CutInside:  {least: 2 * second, most: 4 * second, recovery: second, times: 20, arguments: []string{"0", "1", "3", "8"}},
	CutReset:   {least: 2 * second, most: 4 * second, recovery: second, times: 20, arguments: []string{"1", "3", "8"}},
	Stall:      {least: 7 * second, most: 9 * second, recovery: 2 * second, times: 8, arguments: []string{"0", "1", "3"}},
	BadHead:    {least: 2 * second, most: 3 * second, recovery: second, times: 10},
	Status500:  {least: 2 * second, most: 4 * second, recovery: second, times: 20},
	Status503:  {least: 2 * second, most: 4 * second, recovery: 2 * second, times: 20},
	Slow:       {least: 3 * second, most: 6 * second, recovery: 3 * second, arguments: []string{"300ms", "1s", "2s"}},
	Shutdown:   {least: 2 * second, most: 4 * second, recovery: 2 * second, times: 3},
	QueueFull:  {least: 2 * second, most: 5 * second, recovery: 4 * second, arguments: []string{"requests", "tokens"}},

	Drain:     {least: 3 * second, most: 8 * second, recovery: second},
	DrainHard: {least: 3 * second, most: 8 * second, recovery: second},
	Remove:    {least: 4 * second, most: 8 * second, recovery: 6 * second},

	Reload:      {ofTether: true, recovery: 3 * second},
	Restart:     {ofTether: true, renewal: true, recovery: 8 * second},
	Handover:    {ofTether: true, renewal: true, recovery: 8 * second},
	Descriptors: {ofTether: true, least: second, most: 3 * second, recovery: 2 * second},
	Logs:        {ofTether: true, least: 2 * second, most: 5 * second, recovery: second},
}

// Kinds returns all kinds, in alphabetical order.
func Kinds() []Kind { return sorted(traits) }
