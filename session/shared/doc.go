// Package shared is what several processes know together of sessions that are not at home: the rule that makes them agree, and the
// text in which they tell each other. It knows no network, no clock and no upstreams. Package session/store carries its batches
// through a stream of Redis or Valkey.
//
// A process tells one kind of fact: a Sighting, "this session was used at this upstream, so long ago". The store gives each batch the
// time at which it arrived, so that the time of a use is the batch's time less the age, and no two clocks are compared. The rule is:
// the latest use wins; of two uses in the same millisecond, the one at the upstream with the greater name. A Table holds the winner
// for each session until it is older than the time to live.
//
// The rule takes the greatest of a set. So the order of the sightings does not matter, nor whether one comes twice, and processes that
// have received the same sightings hold the same bindings, whatever was lost before. A process that starts needs no snapshot: a
// sighting that counts is younger than the time to live, and so is its batch, so reading the stream from that far back gives all that
// counts. A store that lost its stream gets it back from any process that still knows it.
//
// A move is a sighting with age 0, a return home as well. A session that was forgotten is a sighting at no upstream. A session that is
// used where it is bound needs no sighting until half of the time to live has passed. A session at home that has never been elsewhere
// needs none at all: every process computes the same home.
//
// How busy processes keep upstreams is told by Reports, which may be lost. Loads adds them up.
//
// Ledger is the rule in one process: it keeps the Table, the sightings that are under way to the store, and makes the process's own
// maps follow. The maps follow the Table, except for a session with a sighting of this process under way: then they follow
// once it has come back. If the process has itself used a session elsewhere, and later than the winner by more than slack, it says so:
// that is how a process which was cut off from the others takes part in the rule when it returns.
//
// model_test.go checks all of this by exhaustive search over two processes. names.go, table.go and drains.go are tested in
// ledger_test.go.
package shared
