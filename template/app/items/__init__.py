"""Things for sale, each with one owner."""
