// Package warm knows which conversations are warm, and whether the caches of the servers keep them. A conversation is warm while its next
// turn is to be expected: then its server should find the last prompt in its cache. If more prompts are warm than fit into the caches,
// each turn pushes out the prompt of another conversation, and no placement helps: only fewer conversations, or more cache.
//
// Package proxy notes each turn. Package app looks at the caches every second, and package metrics and package admin show them. Memory is
// bounded, and a turn costs the same whatever the number of conversations.
package warm
