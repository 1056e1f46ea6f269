"""The review page: doubtful masks, worst first, put right with a key, a click or a stroke. docs/review.md tells how."""
