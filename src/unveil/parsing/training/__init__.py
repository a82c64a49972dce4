"""What only training the parser needs: network, changed crops, images without people, and the file that ships."""
