// Package fates says what became of the tokens of a prompt: the server found them in its prefix cache, they are new, or they should have
// been in the cache and were not. Of the last kind it names one cause.
//
// The rule is a function of plain numbers. Package proxy applies it to each answer that reports its usage, package metrics adds the
// results up in a Tally, and shows it, as package status does.
package fates
