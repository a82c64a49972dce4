"""What only training the parser needs: changed crops, images without people, and the check of people."""
