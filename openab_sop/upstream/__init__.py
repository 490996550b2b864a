"""What this product knows of OpenAB itself: when upstream changes, only this package changes."""
