"""Tests of what keeps tenants apart."""
