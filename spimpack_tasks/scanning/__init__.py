"""From a folder tree of images to tables that a user completes; it only ever looks at the tree."""
