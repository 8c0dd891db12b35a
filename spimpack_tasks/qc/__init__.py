"""Looking at images: one small volume of each, in canonical orientation. Changes no source."""
