"""Records of the engine as the API has them on its wire, newest version first."""
