// Package journalstore is the embedded store: a folder, one process, nothing
// else to run. It stands on a journal that is only appended to. Whoever writes
// decides under a lock and appends to the batch that is being filled; one
// committer writes what has come together with one write and one fdatasync, and
// wakes them all. So a lone caller pays one sync, and a crowd shares it.
//
// The index is in memory, without pointers, and values are read back from the
// journal. What expired, or was written anew, is dead weight in old segments;
// the oldest segment is dropped when what still lives in it was copied forward.
//
// # Files
//
//	lock           held by the process that has the store open
//	00000001.seg   a segment: a header, and batches of operations (see frame.go)
//	00000001.keys  what segment 1 says, without values, once it is full (see sidecar.go)
//	00000002.seg.tmp  the segment to come, filled with zeros ahead of time
package journalstore
