"""Backbones: what all offer, each architecture, weights of others, and the choice by name."""
