// Package fates says what became of the tokens of a prompt: the server found them in its prefix cache, they are new, or they should have
// been in the cache and were not. Of the last kind it names one cause.
//
// The rule is a function of plain numbers. Package proxy applies it to each answer that reports its usage. Package metrics adds
// the results up in a Tally. Packages metrics and status show it.
package fates
